#include "core/net/rpc_call.h"

#include "core/wire/pickle.h"

namespace dask::net {

RpcCall::~RpcCall() {
  if (answer_)
    raise("builtins.RuntimeError",
          "The server gave no answer to '" + std::string(msg["op"].as_string()) + "': it is closing, or this is a bug");
}

void RpcCall::reply(Value value) {
  if (auto answer = std::exchange(answer_, {})) answer(std::move(value));
}

void RpcCall::reply_acknowledged(Value value, std::function<void(bool)> told) {
  if (!answer_) return told(false);  // nobody is there any more
  acknowledgement_ = std::move(told);
  reply(std::move(value));
}

void RpcCall::abandon() {
  answer_ = nullptr;
  if (auto told = std::exchange(told_, {})) told();
}

void RpcCall::raise(std::string_view cls, std::string_view text) {
  const std::size_t dot = cls.rfind('.');
  reply(wire::error_message(cls.substr(0, dot), cls.substr(dot + 1), text));
}

std::vector<Key> keys_of(const Value& value) {
  std::vector<Key> keys;
  if (const Value::Array* items = value.array_if()) {
    for (const Value& item : *items)
      if (auto key = Key::from_value(item)) keys.push_back(*std::move(key));
  } else if (const Value::Map* map = value.map_if()) {
    for (const auto& [name, item] : *map)
      if (auto key = Key::from_value(name)) keys.push_back(*std::move(key));
  } else if (!value.is_nil()) {
    if (auto key = Key::from_value(value)) keys.push_back(*std::move(key));
  }
  return keys;
}

std::vector<std::string> strings_of(const Value& value) {
  std::vector<std::string> strings;
  if (const std::string* one = value.string()) strings.push_back(*one);
  if (const Value::Array* items = value.array_if())
    for (const Value& item : *items)
      if (const std::string* text = item.string()) strings.push_back(*text);
  return strings;
}

}  // namespace dask::net
