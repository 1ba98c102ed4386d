// What worker and nanny share on the network: the first free port of a range, and trying again to reach a scheduler.
// Thread ownership: the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/net/comm.h"
#include "worker/server/options.h"

namespace dask::worker {

// A listener, and the address under which others reach it.
struct Listening {
  std::unique_ptr<net::Listener> listener;
  std::string address;
};
// Listens on the first of `ports` that is free; `flag` names them in the error. Without --host the address is the one that faces the
// scheduler.
Result<Listening> listen_on_first_free(net::Loop& loop, const WorkerOptions& options, const std::vector<std::uint16_t>& ports,
                                       std::string_view flag, std::function<void(net::CommPtr)> accepted);

// Waits longer from try to try, from kFirst to kMost, and says in the log why.
class ConnectRetry {
 public:
  static constexpr net::Loop::Duration kFirst = std::chrono::milliseconds(100), kMost = std::chrono::seconds(2);

  ConnectRetry(net::Loop& loop, std::string scheduler_address) : loop_(loop), address_(std::move(scheduler_address)) {}
  void later(const std::string& why, std::function<void()> again);
  void cancel() { timer_.cancel(); }

 private:
  net::Loop& loop_;
  std::string address_;
  net::Loop::Duration delay_ = net::Loop::Duration::zero();
  net::Loop::Timer timer_;
};

}  // namespace dask::worker
