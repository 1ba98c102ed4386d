// A model of a Kubernetes API server for one namespace: what stories and simulations of the operator write to and watch.
// It keeps objects as JSON and does what an operator can notice: versions, generations, preconditions, server-side apply with removal of
// what is no longer applied, immutable selectors, finalizers, owners. Nothing happens in it by itself: controllers are in cluster.h.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "operator/plan/plan.h"
#include "operator/plan/render.h"

namespace dask::operator_model {

using namespace dask::kube;

using ObjectKey = std::pair<Kind, std::string>;  // kind and name

struct Change {
  ObjectKey key;
  bool deleted = false;
  Value object;  // as it is now, or was
};

// HTTP status and, of a refusal, the words.
struct Answer {
  int code = 200;
  std::string message;
  bool ok() const { return code < 300; }
};

class ApiServer {
 public:
  explicit ApiServer(std::string ns) : ns_(std::move(ns)) {}

  TimeMs now_ms = 1'700'000'000'000;

  Answer create(Kind kind, Value body);
  // `manager`: whose fields these are.
  Answer apply(const ObjectRef& object, const Value& body);
  Answer patch(const ObjectRef& object, const Value& body);
  Answer patch_status(const ObjectRef& object, const Value& body);
  Answer remove(const ObjectRef& object);

  // The shell's part of one action that goes to the API server; 0 for those that do not.
  Answer carry_out(const Action& action);

  const Value* find(Kind kind, const std::string& name) const;
  std::vector<ObjectKey> keys(Kind kind) const;
  const std::map<ObjectKey, Value>& objects() const { return objects_; }
  // All changes ever, in their order: watches read them at their own pace.
  const std::vector<Change>& changes() const { return changes_; }
  std::uint64_t writes() const { return writes_; }

  // For the model's own controllers: replaces an object's field without any rule; the generation stays.
  void overwrite(Kind kind, const std::string& name, const std::function<void(Value&)>& change);
  // The object is gone, whatever holds it.
  void drop(Kind kind, const std::string& name);

 private:
  Answer store(Kind kind, const std::string& name, Value object, bool spec_may_change);
  Answer check(Kind kind, const Value* old, const Value& object) const;

  const std::string ns_;
  std::map<ObjectKey, Value> objects_;
  std::map<ObjectKey, Value> applied_;  // by our field manager
  std::vector<Change> changes_;
  std::uint64_t version_ = 0;
  std::uint64_t uids_ = 0;
  std::uint64_t writes_ = 0;
};

// `object` at a path of names, nil where there is nothing.
const Value& at(const Value& object, std::initializer_list<std::string_view> path);
void put(Value& object, std::initializer_list<std::string_view> path, Value value);

}  // namespace dask::operator_model
