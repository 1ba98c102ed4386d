#include "scheduler/extensions/datasets.h"

#include <algorithm>

namespace dask::scheduler {

namespace {
std::string client_of(const Key& name) { return "published-" + name.str(); }
}  // namespace

void Datasets::put(Caller caller, std::vector<Entry> entries, bool override, double now, Effects& effects) {
  request(Change{std::move(caller), false, override, std::move(entries), {}}, now, effects);
}

void Datasets::remove(Caller caller, std::vector<Key> names, double now, Effects& effects) {
  request(Change{std::move(caller), true, false, {}, std::move(names)}, now, effects);
}

void Datasets::request(Change change, double now, Effects& effects) {
  const Name flush = name_of(change.caller.flush);
  if (marks_.erase(flush) > 0) {
    std::erase(mark_order_, flush);
    return apply(std::move(change), effects);
  }
  const RequestId request = change.caller.request;
  if (waiting_.contains(flush)) return effects.raise(request, "builtins.ValueError", "another call waits for the same flush mark (uid)");
  if (!change.caller.connected) deadlines_.add(request, now + kUnknownClientWait_s);
  waiting_flush_[request] = flush;
  waiting_.emplace(flush, std::move(change));
}

void Datasets::flushed(const Key& flush_key, const std::string& client, Effects& effects) {
  const Name flush = name_of(flush_key);
  const auto it = waiting_.find(flush);
  if (it == waiting_.end()) {
    if (!marks_.emplace(flush, client).second) return;
    mark_order_.push_back(flush);
    if (mark_order_.size() > kFlushMarksMax) {
      marks_.erase(mark_order_.front());
      mark_order_.pop_front();
      effects.warnings.push_back("Dropped a flush mark of publish: more than " + std::to_string(kFlushMarksMax) +
                                 " came without their call");
    }
    return;
  }
  Change change = std::move(it->second);
  abandon(change.caller.request);
  apply(std::move(change), effects);
}

void Datasets::apply(Change change, Effects& effects) {
  const RequestId request = change.caller.request;
  if (change.removes) {
    for (const Key& name : change.names) drop(name_of(name), effects);
    return effects.answer(request, Value());
  }
  if (!change.override)
    for (const Entry& entry : change.entries)
      if (datasets_.contains(name_of(entry.name)))
        return effects.raise(request, "builtins.KeyError", "Dataset " + entry.name.str() + " already exists");
  for (Entry& entry : change.entries) {
    const Name name = name_of(entry.name);
    // The new wishes first: keys that are in both versions must not be forgotten in between.
    effects.desire(client_of(entry.name), entry.keys);
    if (const auto old = datasets_.find(name); old != datasets_.end()) {
      std::vector<Key> ended;
      for (const Key& key : old->second.keys)
        if (std::find(entry.keys.begin(), entry.keys.end(), key) == entry.keys.end()) ended.push_back(key);
      if (!ended.empty()) effects.release(client_of(entry.name), std::move(ended));
    }
    datasets_.insert_or_assign(name, std::move(entry));
  }
  effects.answer(request, Value());
}

void Datasets::drop(const Name& name, Effects& effects) {
  const auto it = datasets_.find(name);
  if (it == datasets_.end()) return;
  effects.release(client_of(it->second.name), it->second.keys);
  effects.forget_client(client_of(it->second.name));
  datasets_.erase(it);
}

void Datasets::list(RequestId request, Effects& effects) const {
  std::vector<const Entry*> entries;
  for (const auto& [name, entry] : datasets_) entries.push_back(&entry);
  std::stable_sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) { return a->name.str() < b->name.str(); });
  Value::Array names;
  for (const Entry* entry : entries) names.push_back(entry->name.value());
  effects.answer(request, Value(std::move(names)));
}

void Datasets::get(RequestId request, const std::vector<Key>& names, Effects& effects) const {
  Value::Array found;
  for (const Key& name : names) {
    const auto it = datasets_.find(name_of(name));
    if (it == datasets_.end())
      found.emplace_back();
    else
      found.emplace_back(Value::Map{{"data", it->second.data}, {"keys", it->second.wire_keys}});
  }
  effects.answer(request, Value(std::move(found)));
}

void Datasets::abandon(RequestId request) {
  const auto it = waiting_flush_.find(request);
  if (it == waiting_flush_.end()) return;
  waiting_.erase(it->second);
  deadlines_.remove(request);
  waiting_flush_.erase(it);
}

void Datasets::fail(RequestId request, Effects& effects) {
  abandon(request);
  effects.raise(request, "asyncio.exceptions.TimeoutError",
                "the client that publishes is not connected: its stream did not bring the flush mark of this call");
}

void Datasets::client_left(const std::string& client, Effects& effects) {
  std::erase_if(mark_order_, [&](const Name& flush) { return marks_.at(flush) == client; });
  std::erase_if(marks_, [&](const auto& mark) { return mark.second == client; });
  std::vector<RequestId> waiting;
  for (const auto& [flush, change] : waiting_)
    if (change.caller.client == client) waiting.push_back(change.caller.request);
  for (RequestId request : waiting) fail(request, effects);
}

void Datasets::advance(double now, Effects& effects) {
  for (RequestId request : deadlines_.take_expired(now)) fail(request, effects);
}

}  // namespace dask::scheduler
