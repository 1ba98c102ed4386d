// dask-scheduler: reads the command line and the configuration, then runs Server until a signal or its own end.
// Options have Dask's names (distributed/cli/dask_scheduler.py); those that this scheduler cannot honour are refused in words.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "core/net/address.h"
#include "core/runtime/command_line.h"
#include "core/runtime/log.h"
#include "core/runtime/process.h"
#include "scheduler/server/check_config.h"
#include "scheduler/server/server.h"

int main(int argc, char** argv) {
  using namespace dask;
  if (std::getenv("DASK_NATIVE_END_WITH_PARENT")) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    unsetenv("DASK_NATIVE_END_WITH_PARENT");
  }
  signal(SIGPIPE, SIG_IGN);

  scheduler::ServerOptions options;
  std::string host, dashboard_address = ":8787", protocol, idle_timeout, pid_file, interface;
  std::vector<std::string> preload, tls;
  int port = -1;
  bool jupyter = false;

  CLI::App app{"Dask's scheduler, native: serves unmodified Dask clients and workers.", "dask-scheduler"};
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--host", host, "URI, IP or hostname of this server (default: all interfaces)");
  app.add_option("--port", port, "Serving port (default: 8786; 0: any free one)")->check(CLI::Range(0, 65535));
  app.add_option("--interface", interface, "Network interface like 'eth0' or 'lo', instead of --host");
  app.add_option("--protocol", protocol, "Protocol like tcp (tls, ws: not supported yet)");
  app.add_option("--dashboard-address", dashboard_address, "Address on which to listen for the dashboard (default: :8787)");
  app.add_flag("--dashboard,!--no-dashboard", options.dashboard,
               "Serve the live page (default: yes); /health, /metrics and the APIs are always there");
  app.add_option("--dashboard-prefix", options.dashboard_prefix, "Prefix for the dashboard app");
  app.add_option("--scheduler-file", options.scheduler_file, "File to write connection information to");
  app.add_option("--pid-file", pid_file, "File to write the process PID to");
  app.add_option("--idle-timeout", idle_timeout, "Time of inactivity after which to end, like '10 minutes'");
  app.add_option(
      "--python", options.python,
      "Python that unpickles graphs: the one of your clients and workers, with their packages (default: the environment's, else python3)");
  app.add_option("--graph-helpers", options.helpers, "Processes that unpickle graphs (default: 1)")->check(CLI::Range(1, 64));
  app.add_option("--preload", preload, "Not supported yet: this scheduler runs no Python");
  app.add_option("--tls-ca-file", tls, "Not supported yet");
  app.add_option("--tls-cert", tls, "Not supported yet");
  app.add_option("--tls-key", tls, "Not supported yet");
  app.add_flag("--jupyter", jupyter, "Not supported: this scheduler runs no Jupyter server");
  app.set_version_flag("--version", "dask-native scheduler 0.1.0, protocol of distributed 2026.8.0");
  if (auto end = read_command_line(app, argc, argv)) return *end;

  if (!preload.empty())
    return usage_error(app, "--preload is not supported yet: this scheduler runs no Python. Remove it, or use Python's dask scheduler.");
  if (!tls.empty()) return usage_error(app, "--tls-* is not supported yet: run without it in a network that you trust.");
  if (jupyter) return usage_error(app, "--jupyter is not supported: this scheduler runs no Python.");
  if (!interface.empty()) {
    if (!host.empty()) return usage_error(app, "--host and --interface exclude each other: give one of them.");
    std::string names;
    host = net::address_of_interface(interface, names);
    if (host.empty()) return usage_error(app, "--interface " + interface + " has no IPv4 address; there are " + names + ".");
  }
  if (!protocol.empty() && protocol != "tcp" && protocol != "tcp://")
    return usage_error(app, "--protocol " + protocol + " is not supported yet, only tcp.");

  auto config = Config::load_from_process();
  if (!config) return usage_error(app, "wrong configuration: " + config.error().message);
  if (auto checked = scheduler::check_config(*config); !checked) return usage_error(app, "wrong configuration: " + checked.error().message);
  if (auto configured = configure_log(*config); !configured) return usage_error(app, "wrong configuration: " + configured.error().message);
  set_log_name("distributed.scheduler");
  for (const std::string& warning : config->warnings()) log_warning("{}", warning);

  std::uint16_t host_port = 8786;
  if (!net::split_host_port(host, options.host, host_port))
    return usage_error(app, "--host " + host + ": the port must be a number from 0 to 65535.");
  if (host.rfind("tls://", 0) == 0 || host.rfind("ws://", 0) == 0)
    return usage_error(app, "--host " + host + ": only tcp is supported yet.");
  options.port = port >= 0 ? static_cast<std::uint16_t>(port) : host_port;
  if (!net::split_host_port(dashboard_address, options.dashboard_host, options.dashboard_port))
    return usage_error(app, "--dashboard-address " + dashboard_address + " is no address: give :8787, host:8787 or :0.");
  if (!idle_timeout.empty()) {
    auto seconds = parse_timedelta(idle_timeout);
    if (!seconds) return usage_error(app, "--idle-timeout: " + seconds.error().message);
    options.idle_timeout_s = *seconds;
  } else if (auto seconds = config->get_seconds("distributed.scheduler.idle-timeout"); !seconds) {
    return usage_error(app, "wrong configuration: " + seconds.error().message);
  } else {
    options.idle_timeout_s = *seconds;
  }
  options.config = *std::move(config);

  raise_file_limit();
  if (!pid_file.empty()) {
    std::ofstream file(pid_file);
    file << getpid() << "\n";
    if (!file.flush()) return usage_error(app, "cannot write --pid-file " + pid_file);
  }

  net::Loop loop;
  SystemClock clock;
  scheduler::Server server(loop, clock, std::move(options));
  if (auto started = server.start(); !started) {
    log_error("The scheduler cannot start: {}", started.error().message);
    return 1;
  }
  server.on_finished([&] { loop.stop(); });
  loop.on_signals([&](int signal) {
    log_info("Received signal {} ({})", strsignal(signal), signal);
    server.terminate(signal == SIGINT ? "signal-2" : "signal-15");
  });
  loop.run();
  if (!pid_file.empty()) std::remove(pid_file.c_str());
  return 0;
}
