// What every Kubernetes object has: metadata, owners, conditions. Read from JSON that an API server sent, so that nothing here is
// trusted: a field of the wrong type reads as absent. managedFields are never kept: they would be most of the memory.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.h"
#include "core/base/value.h"
#include "operator/api/kind.h"
#include "operator/api/time.h"

namespace dask::kube {

using Labels = std::map<std::string, std::string>;

struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;
  friend bool operator==(const OwnerReference&, const OwnerReference&) = default;
};

struct ObjectMeta {
  std::string name;
  std::string ns;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  TimeMs created_ms = 0;
  TimeMs deleting_ms = 0;  // deletionTimestamp; 0: it is not being deleted
  Labels labels;
  Labels annotations;
  std::vector<OwnerReference> owners;
  std::vector<std::string> finalizers;

  bool deleting() const { return deleting_ms != 0; }
  // The owner with controller: true; null without.
  const OwnerReference* controller() const;
  bool owned_by(std::string_view owner_uid) const;
  // Empty when there is none.
  std::string_view label(const std::string& name) const;
  std::string_view annotation(const std::string& name) const;
};

// kMalformed when there is no name: everything else may be missing.
Result<ObjectMeta> parse_meta(const Value& object);

// metav1.Condition.
struct Condition {
  std::string type;
  bool status = false;
  std::string reason;   // CamelCase, never empty
  std::string message;  // for people
  std::int64_t observed_generation = 0;
  TimeMs since_ms = 0;  // lastTransitionTime
  friend bool operator==(const Condition&, const Condition&) = default;
};

std::vector<Condition> parse_conditions(const Value& status);
Value render(const std::vector<Condition>& conditions);
const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type);

// Empty when it is no string.
inline std::string text_of(const Value& value) { return std::string(value.as_string()); }

// {"a": "b"} and back; what is no string is left out.
Labels parse_labels(const Value& map);
Value render(const Labels& labels);
Value render(const OwnerReference& owner);

// Kubernetes' JSON merge patch: null takes a field away, objects merge, all else replaces.
void merge_patch(Value& target, const Value& patch);
// The value without map entries that are null, at any depth: what an API server makes of them.
Value without_nulls(const Value& value);

// 64 bits of a text that stay the same for ever: they are in names and annotations of running clusters.
std::uint64_t stable_hash(std::string_view text);
// The first `digits` (at most 16) hexadecimal digits of it.
std::string hex_of(std::uint64_t hash, int digits);

}  // namespace dask::kube
