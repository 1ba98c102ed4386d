#include "worker/server/network.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/net/address.h"
#include "core/runtime/log.h"

namespace dask::worker {

Result<Listening> listen_on_first_free(net::Loop& loop, const WorkerOptions& options, const std::vector<std::uint16_t>& ports,
                                       std::string_view flag, std::function<void(net::CommPtr)> accepted) {
  Error last;
  for (const std::uint16_t port : ports) {
    net::Address address;
    address.host = options.host;
    address.port = port;
    auto listener = net::listen(loop, address, accepted);
    if (!listener) {
      last = listener.error();
      continue;
    }
    Listening listening{*std::move(listener), ""};
    listening.address = listening.listener->address();
    if (options.host.empty()) {
      DASK_TRY(net::Address scheduler, net::parse_address(options.scheduler_address));
      address.host = net::ip_towards(scheduler.host);
      address.port = listening.listener->port();
      listening.address = address.str();
    }
    return listening;
  }
  return fail(last.code, ports.size() > 1 ? fmt::format("no port of {} is free: {}", flag, last.message) : last.message);
}

void ConnectRetry::later(const std::string& why, std::function<void()> again) {
  delay_ = std::clamp(2 * delay_, kFirst, kMost);
  log_info("Waiting to connect to: {:>26} ({}; tried again in {:.1f} s)", address_, why, std::chrono::duration<double>(delay_).count());
  timer_ = loop_.after(delay_, std::move(again));
}

}  // namespace dask::worker
