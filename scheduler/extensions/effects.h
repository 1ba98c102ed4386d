// Effects: what an extension wants done after it was told something. The shell knows which call a request id stands for,
// answers it, and hands the wishes to the machine. Extensions are pure: no I/O, and the time comes in (seconds, any origin).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/key.h"
#include "core/base/value.h"

namespace dask::scheduler {

// Names one call that waits for its answer. Never reused.
using RequestId = std::uint64_t;

struct Answer {
  RequestId request = 0;
  Value value;
  std::string error_class;  // not empty: the caller raises this class ("builtins.KeyError") with `text`
  std::string text;
  bool has_futures = false;  // `value` is a record, or a list of records, whose futures still need their task's state
};

// A change of what a client wants. Pseudo clients ("queue-x") hold keys for the extension.
struct Wish {
  enum class Kind : std::uint8_t { kDesire, kRelease, kForgetClient };
  Kind kind = Kind::kDesire;
  std::string client;
  std::vector<Key> keys;
};

struct Effects {
  std::vector<Answer> answers;
  std::vector<Wish> wishes;           // in order, and before the answers
  std::vector<std::string> warnings;  // for the log

  void answer(RequestId request, Value value) { answers.push_back(Answer{request, std::move(value), {}, {}, false}); }
  void answer_with_futures(RequestId request, Value value) { answers.push_back(Answer{request, std::move(value), {}, {}, true}); }
  void raise(RequestId request, std::string error_class, std::string text) {
    answers.push_back(Answer{request, {}, std::move(error_class), std::move(text), false});
  }
  void desire(std::string client, std::vector<Key> keys) {
    wishes.push_back(Wish{Wish::Kind::kDesire, std::move(client), std::move(keys)});
  }
  void release(std::string client, std::vector<Key> keys) {
    wishes.push_back(Wish{Wish::Kind::kRelease, std::move(client), std::move(keys)});
  }
  void forget_client(std::string client) { wishes.push_back(Wish{Wish::Kind::kForgetClient, std::move(client), {}}); }
};

// The name of a lock, queue, lease, … as a map's key: equal exactly when Python says that the names are.
using Name = std::string;
inline Name name_of(const Key& key) { return canonical_key(key.msgpack()); }

}  // namespace dask::scheduler
