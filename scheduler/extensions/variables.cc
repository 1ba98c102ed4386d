#include "scheduler/extensions/variables.h"

namespace dask::scheduler {

void Variables::set(RequestId request, const Key& key, Record record, Effects& effects) {
  const Name name = name_of(key);
  Variable& variable = variables_[name];
  if (variable.client.empty()) variable.client = "variable-" + key.str();
  if (record.future) {
    variable.held[name_of(*record.future)].key = *record.future;
    effects.desire(variable.client, {*record.future});
  }
  variable.record = std::move(record);
  const std::vector<Reader> readers = std::exchange(variable.readers, {});
  for (const Reader& reader : readers) {
    waiting_.erase(reader.request);
    deadlines_.remove(reader.request);
    answer(variable, reader, effects);
  }
  tidy(name, effects);
  effects.answer(request, Value());
}

void Variables::answer(Variable& variable, const Reader& reader, Effects& effects) {
  const Record& record = *variable.record;
  if (!record.future) return effects.answer(reader.request, Value(Value::Map{{"type", "msgpack"}, {"value", record.value}}));
  const std::string token = "token-" + std::to_string(next_token_++);
  variable.held[name_of(*record.future)].tokens[token] = reader.client;
  effects.answer_with_futures(reader.request, Value(Value::Map{{"type", "Future"}, {"value", record.future->value()}, {"token", token}}));
}

void Variables::get(RequestId request, const Key& key, const std::string& client, double now, Deadline deadline, Effects& effects) {
  const Name name = name_of(key);
  const auto it = variables_.find(name);
  if (it != variables_.end() && it->second.record) return answer(it->second, Reader{request, client}, effects);
  if (deadline && *deadline <= now)
    return effects.raise(request, "asyncio.exceptions.TimeoutError", "Variable " + key.str() + " is not set");
  Variable& variable = variables_[name];
  if (variable.client.empty()) variable.client = "variable-" + key.str();
  variable.readers.push_back(Reader{request, client});
  waiting_[request] = name;
  deadlines_.add(request, deadline);
}

void Variables::future_received(const Key& key, const Key& future, const Value& token, const std::string& client, Effects& effects) {
  effects.desire(client, {future});
  const Name name = name_of(key);
  const auto it = variables_.find(name);
  if (it == variables_.end()) return;
  const auto held = it->second.held.find(name_of(future));
  if (held == it->second.held.end()) return;
  held->second.tokens.erase(std::string(token.as_string()));
  tidy(name, effects);
}

void Variables::remove(const Key& key, Effects& effects) {
  const Name name = name_of(key);
  const auto it = variables_.find(name);
  if (it == variables_.end()) return;
  it->second.record.reset();
  tidy(name, effects);
}

void Variables::tidy(const Name& name, Effects& effects) {
  const auto it = variables_.find(name);
  Variable& variable = it->second;
  const Name current = variable.record && variable.record->future ? name_of(*variable.record->future) : Name();
  bool released = false;
  for (auto held = variable.held.begin(); held != variable.held.end();) {
    if (held->first == current || !held->second.tokens.empty()) {
      ++held;
      continue;
    }
    effects.release(variable.client, {held->second.key});
    released = true;
    held = variable.held.erase(held);
  }
  if (released && variable.held.empty()) effects.forget_client(variable.client);
  if (!variable.record && variable.held.empty() && variable.readers.empty()) variables_.erase(it);
}

void Variables::withdraw(RequestId request) {
  const auto it = waiting_.find(request);
  if (it == waiting_.end()) return;
  const auto variable = variables_.find(it->second);
  std::erase_if(variable->second.readers, [&](const Reader& reader) { return reader.request == request; });
  if (!variable->second.record && variable->second.held.empty() && variable->second.readers.empty()) variables_.erase(variable);
  waiting_.erase(it);
  deadlines_.remove(request);
}

void Variables::abandon(RequestId request) { withdraw(request); }

void Variables::client_left(const std::string& client, Effects& effects) {
  std::vector<Name> changed;
  for (auto& [name, variable] : variables_)
    for (auto& [key, held] : variable.held)
      if (std::erase_if(held.tokens, [&](const auto& token) { return token.second == client; }) > 0) changed.push_back(name);
  for (const Name& name : changed)
    if (variables_.contains(name)) tidy(name, effects);
}

void Variables::advance(double now, Effects& effects) {
  for (RequestId request : deadlines_.take_expired(now)) {
    withdraw(request);
    effects.raise(request, "asyncio.exceptions.TimeoutError", "the Variable was not set within the timeout");
  }
}

}  // namespace dask::scheduler
