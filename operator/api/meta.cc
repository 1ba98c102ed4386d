#include "operator/api/meta.h"

#include <fmt/format.h>

#include <algorithm>

namespace dask::kube {
namespace {

TimeMs time_of(const Value& value) { return parse_rfc3339(value.as_string()).value_or(0); }

std::string_view find_text(const Labels& map, const std::string& name) {
  const auto it = map.find(name);
  return it == map.end() ? std::string_view() : std::string_view(it->second);
}

}  // namespace

const OwnerReference* ObjectMeta::controller() const {
  const auto it = std::find_if(owners.begin(), owners.end(), [](const OwnerReference& owner) { return owner.controller; });
  return it == owners.end() ? nullptr : &*it;
}

bool ObjectMeta::owned_by(std::string_view owner_uid) const {
  return std::any_of(owners.begin(), owners.end(), [&](const OwnerReference& owner) { return owner.uid == owner_uid; });
}

std::string_view ObjectMeta::label(const std::string& label_name) const { return find_text(labels, label_name); }
std::string_view ObjectMeta::annotation(const std::string& annotation_name) const { return find_text(annotations, annotation_name); }

Result<ObjectMeta> parse_meta(const Value& object) {
  const Value& from = object["metadata"];
  ObjectMeta meta;
  meta.name = text_of(from["name"]);
  if (meta.name.empty()) return fail(ErrorCode::kMalformed, "an object without metadata.name");
  meta.ns = text_of(from["namespace"]);
  meta.uid = text_of(from["uid"]);
  meta.resource_version = text_of(from["resourceVersion"]);
  meta.generation = from["generation"].as_int();
  meta.created_ms = time_of(from["creationTimestamp"]);
  meta.deleting_ms = time_of(from["deletionTimestamp"]);
  meta.labels = parse_labels(from["labels"]);
  meta.annotations = parse_labels(from["annotations"]);
  // What kubectl remembers of an object is as large as the object.
  meta.annotations.erase("kubectl.kubernetes.io/last-applied-configuration");
  if (const Value::Array* owners = from["ownerReferences"].array_if())
    for (const Value& owner : *owners)
      meta.owners.push_back(OwnerReference{text_of(owner["apiVersion"]), text_of(owner["kind"]), text_of(owner["name"]),
                                           text_of(owner["uid"]), owner["controller"].is_bool() && owner["controller"].as_bool()});
  if (const Value::Array* finalizers = from["finalizers"].array_if())
    for (const Value& finalizer : *finalizers) meta.finalizers.push_back(text_of(finalizer));
  return meta;
}

std::vector<Condition> parse_conditions(const Value& status) {
  std::vector<Condition> conditions;
  if (const Value::Array* items = status["conditions"].array_if())
    for (const Value& item : *items)
      conditions.push_back(Condition{text_of(item["type"]), item["status"].as_string() == "True", text_of(item["reason"]),
                                     text_of(item["message"]), item["observedGeneration"].as_int(), time_of(item["lastTransitionTime"])});
  return conditions;
}

Value render(const std::vector<Condition>& conditions) {
  Value items = Value::array();
  for (const Condition& condition : conditions) {
    Value item = Value::map();
    item.set("type", condition.type);
    item.set("status", condition.status ? "True" : "False");
    item.set("reason", condition.reason);
    item.set("message", condition.message);
    item.set("observedGeneration", condition.observed_generation);
    item.set("lastTransitionTime", rfc3339(condition.since_ms));
    items.push_back(std::move(item));
  }
  return items;
}

const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type) {
  const auto it = std::find_if(conditions.begin(), conditions.end(), [&](const Condition& c) { return c.type == type; });
  return it == conditions.end() ? nullptr : &*it;
}

Labels parse_labels(const Value& map) {
  Labels labels;
  if (const Value::Map* entries = map.map_if())
    for (const auto& [name, value] : *entries)
      if (name.is_string() && value.is_string()) labels.emplace(*name.string(), *value.string());
  return labels;
}

Value render(const Labels& labels) {
  Value map = Value::map();
  for (const auto& [name, value] : labels) std::get<Value::Map>(map.variant()).emplace_back(name, value);
  return map;
}

Value render(const OwnerReference& owner) {
  Value map = Value::map();
  map.set("apiVersion", owner.api_version);
  map.set("kind", owner.kind);
  map.set("name", owner.name);
  map.set("uid", owner.uid);
  map.set("controller", owner.controller);
  map.set("blockOwnerDeletion", owner.controller);
  return map;
}

}  // namespace dask::kube
