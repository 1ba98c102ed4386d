// Messages between the worker and its Python executor, as bytes inside a FramePipe: many in one batch. Pure.
// PROTOCOL.md says what is sent; python/dask_native/executor/channel.py is the other side. Private to worker/execute.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/key.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "core/wire/message.h"
#include "worker/execute/lending.h"
#include "worker/execute/python_executor.h"

namespace dask::worker {

// Sub-headers from this size on travel as a blob instead of inside the batch's head.
inline constexpr std::size_t kHeaderInHeadBytesMax = 16 * 1024;

// Requests collected for one message of the pipe.
class RequestBatch {
 public:
  void execute(std::uint64_t token, const PythonTask& task);
  // Without `request` no answer is wanted.
  void put(std::optional<std::uint64_t> request, const std::vector<std::pair<Key, OpaquePtr>>& data);
  void drop(const std::vector<Key>& keys);
  void serialise(std::uint64_t request, const std::vector<Key>& keys, const std::vector<std::string>& serializers, bool lend);
  void call(std::uint64_t request, const Value& message);
  void stream(const Value& message);
  void transition(const Key& key, std::string_view start, std::string_view finish);
  void update(const Value& fields);
  void start(const Value& options);
  void stop();
  void give_back(std::uint64_t lease);

  bool empty() const { return count_ == 0; }
  // The parts of the message for FramePipe::send; the batch is empty afterwards.
  // Large blobs are left out and lent, when there is somebody to lend them.
  std::vector<Bytes> take(Lending* lending = nullptr);

 private:
  wire::Packer& begin(std::string_view op, std::size_t arguments);
  void keys(const std::vector<Key>& keys);
  // The sub-header, or nil when it is the first blob; then how many blobs follow.
  void opaque(const Opaque& node);
  void frames(const Value& message);

  wire::Packer messages_;
  std::size_t count_ = 0;
  std::vector<Bytes> blobs_;
};

// ---- what the executor says -----------------------------------------------------------------------------------------------

namespace said {

struct Ready {
  int pid = 0;
  Value versions;
};
// Whether it can read our memory, and where ours may be tried on its own.
struct LendingTried {
  bool can_read_us = false;
  std::uint64_t pid = 0;
  std::uint64_t address = 0;
  bool has_courier = false;
};
// It needs what it was lent no more.
struct Returned {
  std::vector<std::uint64_t> leases;
};
struct Operations {
  std::vector<std::string> operations;
  std::vector<std::string> stream_operations;
  bool wants_transitions = false;
};
// `executed` without key and run_id, which belong to the token.
struct Executed {
  std::uint64_t token = 0;
  PythonExecuted executed;
};
struct Seceded {
  std::uint64_t token = 0;
  double compute_duration = 0;
};
struct LogEvent {
  Value topic;
  Value message;
};
struct Stored {
  std::vector<PythonData> data;
};
struct PutDone {
  std::uint64_t request = 0;
  std::vector<PythonData> data;
};
struct Serialised {
  std::uint64_t request = 0;
  std::vector<PythonSerialised> items;
};
struct Reply {
  std::uint64_t request = 0;
  Value message;
};
struct NoHandler {
  std::uint64_t request = 0;
  std::string operation;
};
struct Send {
  Value message;
};
struct Digest {
  Value name;
  double value = 0;
};
struct Close {
  std::string reason;
};
// Code of `key` ends the process on purpose.
struct Ending {
  std::string key;
  std::string text;
};
struct CannotStart {
  std::string text;
};
// A message that could not be sent: `number` is its token or request.
struct Broken {
  std::string operation;
  std::uint64_t number = 0;
  std::string text;
};

}  // namespace said

using Said = std::variant<said::Ready, said::LendingTried, said::Returned, said::Operations, said::Executed, said::Seceded, said::LogEvent,
                          said::Stored, said::PutDone, said::Serialised, said::Reply, said::NoHandler, said::Send, said::Digest,
                          said::Close, said::Ending, said::CannotStart, said::Broken>;

// The messages of a batch in order. kMalformed when the bytes are not what the executor's program sends, or name blobs that lie in its
// memory when there is no `lending`.
Result<std::vector<Said>> parse_batch(const Bytes& bytes, Lending* lending = nullptr);

}  // namespace dask::worker
