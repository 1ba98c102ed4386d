#include "scheduler/extensions/queues.h"

#include <algorithm>
#include <iterator>

namespace dask::scheduler {

namespace {
constexpr const char* kTimeoutError = "asyncio.exceptions.TimeoutError";
}

void Queues::create(const Key& name, std::int64_t maxsize) {
  auto [it, made] = queues_.try_emplace(name_of(name));
  if (made) it->second.maxsize = maxsize;
  ++it->second.objects;
}

Queues::Queue* Queues::find(RequestId request, const Key& name, Effects& effects) {
  const auto it = queues_.find(name_of(name));
  if (it != queues_.end()) return &it->second;
  effects.raise(request, "builtins.KeyError", name.str());
  return nullptr;
}

void Queues::hold(const Key& name, const Key& key, Effects& effects) {
  Held& held = held_[name_of(name)];
  if (held.client.empty()) held.client = "queue-" + name.str();
  auto& entry = held.keys[name_of(key)];
  entry.first = key;
  ++entry.second;
  effects.desire(held.client, {key});
}

void Queues::let_go(const Name& name, const Key& key, Effects& effects) {
  const auto held = held_.find(name);
  if (held == held_.end()) return;
  const auto entry = held->second.keys.find(name_of(key));
  if (entry == held->second.keys.end() || --entry->second.second > 0) return;
  effects.release(held->second.client, {entry->second.first});
  held->second.keys.erase(entry);
  if (!held->second.keys.empty()) return;
  effects.forget_client(held->second.client);
  held_.erase(held);
}

Value Queues::value_of(const Record& record) {
  if (record.future) return Value(Value::Map{{"type", "Future"}, {"value", record.future->value()}});
  return Value(Value::Map{{"type", "msgpack"}, {"value", record.value}});
}

void Queues::stop_waiting(RequestId request) {
  waiting_.erase(request);
  deadlines_.remove(request);
}

void Queues::put(RequestId request, const Key& name, Record record, double now, Deadline deadline, Effects& effects) {
  Queue* queue = find(request, name, effects);
  if (!queue) return;
  if (queue->full() && deadline && *deadline <= now) return effects.raise(request, kTimeoutError, "Queue " + name.str() + " is full");
  if (record.future) hold(name, *record.future, effects);
  if (queue->full()) {
    queue->putters.push_back(Putter{request, std::move(record)});
    waiting_[request] = name_of(name);
    return deadlines_.add(request, deadline);
  }
  queue->records.push_back(std::move(record));
  effects.answer(request, Value());
  settle(name_of(name), effects);
}

void Queues::get(RequestId request, const Key& name, Batch batch, double now, Deadline deadline, Effects& effects) {
  Queue* queue = find(request, name, effects);
  if (!queue) return;
  if (batch.kind == Batch::Kind::kAvailable) {
    Value::Array values;
    for (const Record& record : queue->records) values.push_back(value_of(record));
    queue->records.clear();
    effects.answer_with_futures(request, Value(std::move(values)));
    return settle(name_of(name), effects);
  }
  if (batch.kind == Batch::Kind::kCount && batch.count <= 0) return effects.answer(request, Value::array());
  queue->getters.push_back(Getter{request, batch, {}});
  waiting_[request] = name_of(name);
  deadlines_.add(request, deadline);
  settle(name_of(name), effects);
  if (deadline && *deadline <= now && withdraw(request, effects))
    effects.raise(request, kTimeoutError, "Queue " + name.str() + " is empty");
}

// Records go to those who wait for them, and room to those who wait for it, until neither helps.
void Queues::settle(const Name& name, Effects& effects) {
  Queue& queue = queues_.at(name);
  while (true) {
    if (!queue.getters.empty() && !queue.records.empty()) {
      Getter& getter = queue.getters.front();
      getter.taken.push_back(std::move(queue.records.front()));
      queue.records.pop_front();
      if (getter.batch.kind == Batch::Kind::kOne) {
        effects.answer_with_futures(getter.request, value_of(getter.taken.front()));
      } else if (static_cast<std::int64_t>(getter.taken.size()) == getter.batch.count) {
        Value::Array values;
        for (const Record& record : getter.taken) values.push_back(value_of(record));
        effects.answer_with_futures(getter.request, Value(std::move(values)));
      } else {
        continue;
      }
      stop_waiting(getter.request);
      queue.getters.pop_front();
    } else if (!queue.putters.empty() && !queue.full()) {
      Putter& putter = queue.putters.front();
      queue.records.push_back(std::move(putter.record));
      effects.answer(putter.request, Value());
      stop_waiting(putter.request);
      queue.putters.pop_front();
    } else {
      return;
    }
  }
}

void Queues::qsize(RequestId request, const Key& name, Effects& effects) const {
  const auto it = queues_.find(name_of(name));
  if (it == queues_.end()) return effects.raise(request, "builtins.KeyError", name.str());
  effects.answer(request, Value(it->second.records.size()));
}

void Queues::future_received(const Key& name, const Key& key, const std::string& client, Effects& effects) {
  effects.desire(client, {key});
  let_go(name_of(name), key, effects);
}

void Queues::release(const Key& key, Effects& effects) {
  const Name name = name_of(key);
  const auto it = queues_.find(name);
  if (it == queues_.end() || --it->second.objects > 0) return;
  const Queue queue = std::move(it->second);
  queues_.erase(it);
  for (const Record& record : queue.records)
    if (record.future) let_go(name, *record.future, effects);
  const std::string closed = "Queue " + key.str() + " was closed while this call waited";
  for (const Putter& putter : queue.putters) {
    if (putter.record.future) let_go(name, *putter.record.future, effects);
    stop_waiting(putter.request);
    effects.raise(putter.request, "builtins.RuntimeError", closed);
  }
  for (const Getter& getter : queue.getters) {
    for (const Record& record : getter.taken)
      if (record.future) let_go(name, *record.future, effects);
    stop_waiting(getter.request);
    effects.raise(getter.request, "builtins.RuntimeError", closed);
  }
}

bool Queues::withdraw(RequestId request, Effects& effects) {
  const auto it = waiting_.find(request);
  if (it == waiting_.end()) return false;
  const Name name = it->second;
  stop_waiting(request);
  Queue& queue = queues_.at(name);
  const auto putter = std::find_if(queue.putters.begin(), queue.putters.end(), [&](const Putter& p) { return p.request == request; });
  if (putter != queue.putters.end()) {
    if (putter->record.future) let_go(name, *putter->record.future, effects);
    queue.putters.erase(putter);
    return true;
  }
  const auto getter = std::find_if(queue.getters.begin(), queue.getters.end(), [&](const Getter& g) { return g.request == request; });
  std::vector<Record> taken = std::move(getter->taken);
  queue.getters.erase(getter);
  queue.records.insert(queue.records.begin(), std::make_move_iterator(taken.begin()), std::make_move_iterator(taken.end()));
  settle(name, effects);
  return true;
}

void Queues::abandon(RequestId request, Effects& effects) { withdraw(request, effects); }

void Queues::advance(double now, Effects& effects) {
  for (RequestId request : deadlines_.take_expired(now))
    if (withdraw(request, effects)) effects.raise(request, kTimeoutError, "Queue: nothing to get, or no room to put, within the timeout");
}

}  // namespace dask::scheduler
