#include "api_server.h"

#include <fmt/format.h>

#include <algorithm>

namespace dask::operator_model {
namespace {

bool is_true_subset(const Labels& part, const Labels& whole) {
  return std::all_of(part.begin(), part.end(), [&](const auto& label) {
    const auto it = whole.find(label.first);
    return it != whole.end() && it->second == label.second;
  });
}

// Server-side apply: what was applied before and is not now goes, what is applied now comes, lists as wholes.
void apply_tree(Value& target, const Value& before, const Value& now) {
  if (const Value::Map* old = before.map_if())
    for (const auto& [name, value] : *old) {
      const Value* kept = now.find(name.as_string());
      if (kept) continue;
      if (value.is_map() && target[name.as_string()].is_map()) {
        Value inner = target[name.as_string()];
        apply_tree(inner, value, Value::map());
        target.set(name.as_string(), std::move(inner));
      } else {
        merge_patch(target, Value(Value::Map{{name, Value()}}));
      }
    }
  for (const auto& [name, value] : *now.map_if()) {
    if (!value.is_map()) {
      merge_patch(target, Value(Value::Map{{name, value}}));
      continue;
    }
    Value inner = target[name.as_string()].is_map() ? target[name.as_string()] : Value::map();
    apply_tree(inner, before[name.as_string()], value);
    target.set(name.as_string(), std::move(inner));
  }
}

}  // namespace

const Value& at(const Value& object, std::initializer_list<std::string_view> path) {
  const Value* found = &object;
  for (const std::string_view name : path) found = &(*found)[name];
  return *found;
}

void put(Value& object, std::initializer_list<std::string_view> path, Value value) {
  for (auto it = std::rbegin(path); it != std::rend(path); ++it) value = Value(Value::Map{{*it, std::move(value)}});
  merge_patch(object, value);
}

const Value* ApiServer::find(Kind kind, const std::string& name) const {
  const auto it = objects_.find({kind, name});
  return it == objects_.end() ? nullptr : &it->second;
}

std::vector<ObjectKey> ApiServer::keys(Kind kind) const {
  std::vector<ObjectKey> found;
  for (const auto& [key, object] : objects_)
    if (key.first == kind) found.push_back(key);
  return found;
}

Answer ApiServer::check(Kind kind, const Value* old, const Value& object) const {
  if (kind == Kind::kDeployment) {
    const Labels selector = parse_labels(at(object, {"spec", "selector", "matchLabels"}));
    if (selector.empty()) return {422, "spec.selector: Required value"};
    if (!is_true_subset(selector, parse_labels(at(object, {"spec", "template", "metadata", "labels"}))))
      return {422, "spec.template.metadata.labels: `selector` does not match template `labels`"};
    if (old && selector != parse_labels(at(*old, {"spec", "selector", "matchLabels"}))) return {422, "spec.selector: field is immutable"};
    if (at(object, {"spec", "strategy", "type"}).as_string() == "Recreate" && at(object, {"spec", "strategy", "rollingUpdate"}).is_map())
      return {422, "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy type is Recreate"};
  }
  if (kind == Kind::kPod && old && !(at(*old, {"spec"}) == at(object, {"spec"}))) return {422, "spec: field is immutable"};
  return {};
}

Answer ApiServer::store(Kind kind, const std::string& name, Value object, bool spec_may_change) {
  const ObjectKey key{kind, name};
  const auto it = objects_.find(key);
  const Value* old = it == objects_.end() ? nullptr : &it->second;
  const bool new_spec = !old || (spec_may_change && !((*old)["spec"] == object["spec"]));
  if (new_spec && kind == Kind::kDeployment && at(object, {"spec", "strategy", "type"}).is_nil())
    put(object, {"spec", "strategy"},
        Value(Value::Map{{"type", "RollingUpdate"}, {"rollingUpdate", Value(Value::Map{{"maxSurge", "25%"}})}}));
  if (Answer answer = check(kind, old, object); !answer.ok()) return answer;
  if (old && to_json(*old) == to_json(object)) return {};  // nothing changed: no new version
  put(object, {"metadata", "resourceVersion"}, std::to_string(++version_));
  if (new_spec && kind != Kind::kService)
    put(object, {"metadata", "generation"}, (old ? at(*old, {"metadata", "generation"}).as_int() : 0) + 1);
  // The last finalizer has gone from something that is being deleted.
  const bool gone = old && !at(object, {"metadata", "deletionTimestamp"}).is_nil() && kind != Kind::kPod &&
                    at(object, {"metadata", "finalizers"}).size() == 0;
  changes_.push_back(Change{key, gone, object});
  if (gone) {
    objects_.erase(key);
    applied_.erase(key);
  } else {
    objects_[key] = std::move(object);
  }
  return {};
}

Answer ApiServer::create(Kind kind, Value body) {
  ++writes_;
  const std::string name(at(body, {"metadata", "name"}).as_string());
  if (find(kind, name)) return {409, "already exists"};
  if (const auto* entries = body.map_if(); !entries) return {400, "no object"};
  put(body, {"metadata", "uid"}, fmt::format("uid-{}", ++uids_));
  put(body, {"metadata", "namespace"}, ns_);
  put(body, {"metadata", "creationTimestamp"}, rfc3339(now_ms));
  if (kind == Kind::kService && at(body, {"spec", "clusterIP"}).is_nil())
    put(body, {"spec", "clusterIP"}, fmt::format("10.96.0.{}", uids_));
  if (kind == Kind::kService && at(body, {"spec", "type"}).is_nil()) put(body, {"spec", "type"}, "ClusterIP");
  Answer answer = store(kind, name, std::move(body), true);
  return answer.ok() ? Answer{201, {}} : answer;
}

Answer ApiServer::apply(const ObjectRef& object, const Value& body) {
  const ObjectKey key{object.kind, object.name};
  const Value* old = find(object.kind, object.name);
  if (!old) {
    if (!object.uid.empty()) return ++writes_, Answer{409, "the object has another uid"};
    Answer answer = create(object.kind, without_nulls(body));
    if (answer.ok()) applied_[key] = body;
    return answer;
  }
  ++writes_;
  const std::string uid(at(*old, {"metadata", "uid"}).as_string());
  if (!object.uid.empty() && object.uid != uid) return {409, "the object has another uid"};
  Value merged = *old;
  Value fields = body;  // a uid is a precondition, nobody's field
  put(fields, {"metadata", "uid"}, Value());
  apply_tree(merged, applied_[key], fields);
  Answer answer = store(object.kind, object.name, std::move(merged), true);
  if (answer.ok()) applied_[key] = std::move(fields);
  return answer;
}

Answer ApiServer::patch(const ObjectRef& object, const Value& body) {
  ++writes_;
  const Value* old = find(object.kind, object.name);
  if (!old) return {404, "not found"};
  for (const char* field : {"uid", "resourceVersion"}) {
    const Value& wanted = at(body, {"metadata", field});
    if (!wanted.is_nil() && !(wanted == at(*old, {"metadata", field}))) return {409, fmt::format("{} has changed", field)};
  }
  Value merged = *old;
  merge_patch(merged, body);
  if (object.kind != Kind::kPod && object.kind != Kind::kDeployment && object.kind != Kind::kService)
    put(merged, {"status"}, Value()), put(merged, {"status"}, (*old)["status"]);
  // What the user has changed is not ours any more, as the fields' managers would say.
  return store(object.kind, object.name, std::move(merged), true);
}

Answer ApiServer::patch_status(const ObjectRef& object, const Value& body) {
  ++writes_;
  const Value* old = find(object.kind, object.name);
  if (!old) return {404, "not found"};
  for (const char* field : {"uid", "resourceVersion"}) {
    const Value& wanted = at(body, {"metadata", field});
    if (!wanted.is_nil() && !(wanted == at(*old, {"metadata", field}))) return {409, fmt::format("{} has changed", field)};
  }
  Value merged = *old;
  put(merged, {"status"}, body["status"]);
  return store(object.kind, object.name, std::move(merged), false);
}

Answer ApiServer::remove(const ObjectRef& object) {
  ++writes_;
  const Value* old = find(object.kind, object.name);
  if (!old) return {404, "not found"};
  if (!object.uid.empty() && at(*old, {"metadata", "uid"}).as_string() != object.uid) return {409, "the object has another uid"};
  if (object.kind == Kind::kPod || at(*old, {"metadata", "finalizers"}).size() > 0) {
    if (at(*old, {"metadata", "deletionTimestamp"}).is_nil()) {
      Value marked = *old;
      put(marked, {"metadata", "deletionTimestamp"}, rfc3339(now_ms));
      return store(object.kind, object.name, std::move(marked), false);
    }
    return {};
  }
  drop(object.kind, object.name);
  return {};
}

void ApiServer::drop(Kind kind, const std::string& name) {
  const ObjectKey key{kind, name};
  const auto it = objects_.find(key);
  if (it == objects_.end()) return;
  put(it->second, {"metadata", "resourceVersion"}, std::to_string(++version_));
  changes_.push_back(Change{key, true, std::move(it->second)});
  objects_.erase(it);
  applied_.erase(key);
}

void ApiServer::overwrite(Kind kind, const std::string& name, const std::function<void(Value&)>& change) {
  const Value* old = find(kind, name);
  if (!old) return;
  Value object = *old;
  change(object);
  if (to_json(object) == to_json(*old)) return;
  put(object, {"metadata", "resourceVersion"}, std::to_string(++version_));
  changes_.push_back(Change{{kind, name}, false, object});
  objects_[{kind, name}] = std::move(object);
}

Answer ApiServer::carry_out(const Action& action) {
  if (const auto* a = std::get_if<CreateObject>(&action.what)) {
    Answer answer = create(a->object.kind, without_nulls(a->body));
    return answer.code == 409 ? Answer{200, {}} : answer;
  }
  if (const auto* a = std::get_if<ApplyObject>(&action.what)) return apply(a->object, a->body);
  if (const auto* a = std::get_if<PatchObject>(&action.what)) return patch(a->object, a->body);
  if (const auto* a = std::get_if<PatchStatus>(&action.what)) return patch_status(a->object, a->body);
  if (const auto* a = std::get_if<DeleteObject>(&action.what)) {
    Answer answer = remove(a->object);
    return answer.code == 404 ? Answer{200, {}} : answer;
  }
  return {0, {}};
}

}  // namespace dask::operator_model
