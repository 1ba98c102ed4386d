// The child of LocalCluster that is the scheduler: what scheduler_main does, for this machine only.
#include <csignal>

#include <cstdlib>

#include "client/child_report.h"
#include "client/internal_programs.h"
#include "core/net/comm.h"
#include "core/runtime/log.h"
#include "scheduler/server/check_config.h"
#include "scheduler/server/server.h"

namespace dask::client {

// argv: the flag, the socket, the port, the dashboard's address.
int run_scheduler(int argc, char** argv) {
  if (argc < 4) return 2;
  signal(SIGPIPE, SIG_IGN);
  const int socket = std::atoi(argv[1]);
  const auto refuse = [&](const std::string& why) {
    report_to_parent(socket, Value(Value::Map{{"error", why}}));
    return 1;
  };
  auto config = Config::load_from_process();
  if (!config) return refuse("wrong configuration: " + config.error().message);
  if (auto checked = scheduler::check_config(*config); !checked) return refuse("wrong configuration: " + checked.error().message);
  be_quiet(*config);
  if (auto configured = configure_log(*config); !configured) return refuse("wrong configuration: " + configured.error().message);
  set_log_name("distributed.scheduler");
  const std::string_view dashboard = argv[3];
  auto dashboard_address = net::parse_address(dashboard.empty() ? ":0" : dashboard);
  if (!dashboard_address) return refuse("dashboard_address: " + dashboard_address.error().message);

  scheduler::ServerOptions options;
  options.host = "127.0.0.1";
  options.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  options.dashboard_host = dashboard_address->host.empty() ? "127.0.0.1" : dashboard_address->host;
  options.dashboard_port = dashboard_address->port;
  options.config = *std::move(config);
  options.lazy_helpers = true;

  net::Loop loop;
  SystemClock clock;
  scheduler::Server server(loop, clock, std::move(options));
  if (auto started = server.start(); !started) return refuse(started.error().message);
  server.on_finished([&] { loop.stop(); });
  // Ctrl-C reaches the whole group; the cluster's owner decides when it ends.
  loop.on_signals([&](int number) {
    if (number == SIGTERM) server.terminate("signal-15");
  });
  report_to_parent(socket, Value(Value::Map{{"address", server.address()}, {"dashboard_port", server.dashboard_port()}}));
  loop.run();
  return 0;
}

}  // namespace dask::client
