// FutureState: what a client knows about one key. All futures of a key share it; when the last one ends the scheduler is told.
// Its fields are guarded by the client's mutex, except for the constant ones.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/native/value.h"

namespace dask {

namespace client {

class ClusterClient;

struct TaskFailure {
  std::string type;
  std::string message;
  bool killed = false;  // KilledWorker
};

}  // namespace client

namespace detail {

class FutureState {
 public:
  enum class Status { kPending, kFinished, kError, kCancelled, kLost };
  FutureState(std::shared_ptr<client::ClusterClient> owner, std::string key_name) : client(std::move(owner)), key(std::move(key_name)) {}
  ~FutureState();

  bool ended() const { return status == Status::kFinished || status == Status::kError || status == Status::kCancelled; }

  const std::shared_ptr<client::ClusterClient> client;
  const std::string key;
  Status status = Status::kPending;
  client::TaskFailure failure;
  std::string why_cancelled;
  native::NativeValue value;                      // a small result that came with the report; empty: it has to be fetched
  std::size_t value_bytes = 0;                    // that it counts for among the client's
  std::uint64_t graph = 0;                        // the submission that it came with
  std::vector<std::function<void()>> when_ended;  // called without the mutex, on the client's thread
};
using FutureStatePtr = std::shared_ptr<FutureState>;

}  // namespace detail
}  // namespace dask
