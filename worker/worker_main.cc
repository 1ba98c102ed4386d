// dask-worker: reads the command line and the configuration, then runs one worker with its nanny until a signal or its own end. With
// --nworkers it starts itself that many times. Options have Dask's names (distributed/cli/dask_worker.py); those that this worker cannot
// honour are refused in words.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "core/base/json.h"
#include "core/net/address.h"
#include "core/net/child.h"
#include "core/runtime/command_line.h"
#include "core/runtime/log.h"
#include "core/runtime/process.h"
#include "worker/execute/nanny_environment.h"
#include "worker/execute/python_executor.h"
#include "worker/memory/limits.h"
#include "worker/server/nanny.h"

namespace {

using namespace dask;

constexpr std::uint16_t kSchedulerPort = 8786;
constexpr auto kFilePoll = std::chrono::milliseconds(50);  // for a scheduler file that is not there yet

// "3000", "3000:3026" -> ports; nothing given: any.
Result<std::vector<std::uint16_t>> parse_ports(const std::string& option, const std::string& text) {
  if (text.empty()) return std::vector<std::uint16_t>{0};
  unsigned first = 0, last = 0;
  char rest = 0;
  const int n = std::sscanf(text.c_str(), "%u:%u%c", &first, &last, &rest);
  if (n == 1 && text.find(':') == std::string::npos)
    last = first;
  else if (n != 2)
    last = 70000;
  if (text.find_first_not_of("0123456789:") != std::string::npos || last > 65535 || first > last)
    return fail(ErrorCode::kInvalidArgument, option + " " + text + ": give a port, or first and last as in 3000:3026.");
  std::vector<std::uint16_t> ports;
  for (unsigned port = first; port <= last; ++port) ports.push_back(static_cast<std::uint16_t>(port));
  return ports;
}

// "GPU=2 MEM=10e9" or with commas.
Result<std::map<std::string, double>> parse_resources(std::string text) {
  std::map<std::string, double> resources;
  for (char& c : text)
    if (c == ',') c = ' ';
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    char* end = nullptr;
    const double quantity = equals == std::string::npos ? 0 : std::strtod(word.c_str() + equals + 1, &end);
    if (equals == 0 || !end || *end != '\0' || end == word.c_str() + equals + 1 || !std::isfinite(quantity))
      return fail(ErrorCode::kInvalidArgument, "--resources " + word + ": give name=number, as in \"GPU=2 MEM=10e9\".");
    resources[word.substr(0, equals)] = quantity;
  }
  return resources;
}

// The address in a scheduler's file. Waits for it: scheduler and workers are often started together.
Result<std::string> read_scheduler_file(const std::string& path, std::optional<double> timeout_seconds) {
  const auto start = std::chrono::steady_clock::now();
  for (bool told = false;; std::this_thread::sleep_for(kFilePoll)) {
    std::ifstream file(path);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (auto json = parse_json(text); json && (*json)["address"].is_string()) return std::string((*json)["address"].as_string());
    if (timeout_seconds && std::chrono::steady_clock::now() - start > std::chrono::duration<double>(*timeout_seconds))
      return fail(ErrorCode::kTimeout, "--scheduler-file " + path + " was not there, or had no address, within the --death-timeout.");
    if (!std::exchange(told, true)) log_info("Waiting for the scheduler file {}", path);
  }
}

// The breakdown of --nworkers auto (distributed/deploy/utils.py).
std::pair<int, int> processes_and_threads(int cores) {
  int processes = cores;
  if (cores > 4)
    for (processes = 1; processes < cores && (cores % processes != 0 || processes * processes < cores);) ++processes;
  return {processes, cores / processes};
}

struct CommandLine {
  std::string scheduler, scheduler_file, host, worker_port, nanny_port, listen_address, contact_address, interface, protocol;
  std::string dashboard_address = ":0", name, nworkers, memory_limit = "auto", resources, death_timeout, lifetime, lifetime_stagger,
              pid_file;
  std::string worker_class;
  std::vector<std::string> preload, preload_nanny, tls;
  int nthreads = 0;
  bool dashboard = true;
};

// Runs `count` copies of this program, one a worker, and passes signals on.
int run_many(const std::vector<std::vector<std::string>>& commands) {
  net::Loop loop;
  std::vector<std::unique_ptr<net::Child>> children;
  std::size_t running = commands.size();
  int code = 0;
  for (const auto& command : commands) {
    ProcessOptions options;
    options.argv = command;
    net::Child::Handlers handlers;
    handlers.exited = [&](ExitStatus status) {
      if (!status.ok()) code = status.code ? status.code : 1;
      if (--running == 0) loop.stop();
    };
    auto child = net::Child::start(loop, options, std::move(handlers));
    if (!child) {
      log_error("Cannot start a worker: {}", child.error().message);
      return 1;
    }
    children.push_back(*std::move(child));
  }
  loop.on_signals([&](int number) {
    for (const auto& child : children) child->kill(number);
  });
  loop.run();
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  if (std::getenv("DASK_NATIVE_END_WITH_PARENT")) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    unsetenv("DASK_NATIVE_END_WITH_PARENT");
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of its write

  CommandLine given;
  worker::WorkerOptions options;
  std::optional<bool> lifetime_restart;
  CLI::App app{"Dask's worker, native: communication, memory and state in C++, Python tasks in a child interpreter.", "dask-worker"};
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("scheduler", given.scheduler, "Address of the scheduler, like tcp://127.0.0.1:8786");
  app.add_option("--scheduler-file", given.scheduler_file,
                 "File with the scheduler's address, as dask scheduler --scheduler-file writes it");
  app.add_option("--host", given.host, "Serving host: an address of this machine that scheduler and other workers reach (default: found)");
  app.add_option("--interface", given.interface, "Network interface like 'eth0' or 'lo', instead of --host");
  app.add_option("--protocol", given.protocol, "Protocol like tcp (tls, ws: not supported yet)");
  app.add_option("--worker-port", given.worker_port,
                 "Serving port, or a range 3000:3026 of which the first free one is taken (default: any)");
  app.add_option("--nanny-port", given.nanny_port, "Serving port of the nanny, or a range (default: any)");
  app.add_option("--listen-address", given.listen_address, "The address to which the worker binds, like tcp://0.0.0.0:9000");
  app.add_option("--contact-address", given.contact_address,
                 "The address that scheduler and other workers are told, like tcp://10.0.0.1:9000");
  app.add_option("--dashboard-address", given.dashboard_address, "Address on which to listen for /health and /metrics (default: any port)");
  app.add_flag("--dashboard,!--no-dashboard", given.dashboard,
               "Accepted for Dask's sake: there is no page; /health and /metrics are always there");
  app.add_option("--name", given.name, "A unique name for this worker; with --nworkers a number is added");
  app.add_option("--nthreads", given.nthreads, "Number of threads per worker (default: the processors)")->check(CLI::Range(0, 4096));
  app.add_option("--nworkers", given.nworkers, "Number of workers; negative: CPU count + 1 + this; auto: by the processors (default: 1)");
  app.add_option("--memory-limit", given.memory_limit, "Bytes per worker: '4GB', a fraction '0.5', 'auto', or 0 for none");
  app.add_option("--resources", given.resources, "Resources for tasks' restrictions, like \"GPU=2 MEM=10e9\"");
  app.add_option("--local-directory", options.local_directory, "Folder for the worker's files (default: temporary-directory, else /tmp)");
  app.add_option("--death-timeout", given.death_timeout, "Time without a scheduler after which to give up, like '60s'");
  app.add_option("--lifetime", given.lifetime, "Time after which to leave gracefully, like '1h'");
  app.add_option("--lifetime-stagger", given.lifetime_stagger, "Random amount by which to vary --lifetime");
  app.add_flag("--lifetime-restart,!--no-lifetime-restart", lifetime_restart, "Start anew after --lifetime");
  app.add_flag("--nanny,!--no-nanny", options.nanny, "Restart the worker when its Python dies (default: yes)");
  app.add_option("--worker-file", options.worker_file, "File to write the worker's addresses to, as JSON, whenever it has registered");
  app.add_option("--pid-file", given.pid_file, "File to write the process PID to");
  app.add_option("--python", options.python,
                 "Python that runs the tasks: with the clients' packages (default: the environment's, else python3)");
  app.add_option("--preload", given.preload, "Module or file that the worker's Python loads first")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--preload-nanny", given.preload_nanny, "Not supported: the nanny runs no Python");
  app.add_option("--worker-class", given.worker_class, "Not supported: the worker is no Python class");
  app.add_option("--tls-ca-file", given.tls, "Not supported yet");
  app.add_option("--tls-cert", given.tls, "Not supported yet");
  app.add_option("--tls-key", given.tls, "Not supported yet");
  app.add_option("--scheduler-sni", given.tls, "Not supported yet");
  app.set_version_flag("--version", "dask-native worker 0.1.0, protocol of distributed 2026.8.0");
  if (auto end = read_command_line(app, argc, argv)) return *end;

  if (!given.preload_nanny.empty())
    return usage_error(app, "--preload-nanny is not supported: the nanny runs no Python. Use --preload, or Python's dask worker.");
  if (!given.tls.empty())
    return usage_error(app, "--tls-* and --scheduler-sni are not supported yet: run without TLS in a network that you trust.");
  if (!given.worker_class.empty() && given.worker_class != "dask.distributed.Worker" && given.worker_class != "distributed.Worker")
    return usage_error(
        app, "--worker-class " + given.worker_class + " is not supported: this worker is no Python class. Use Python's dask worker.");
  if (!given.protocol.empty() && given.protocol != "tcp" && given.protocol != "tcp://")
    return usage_error(app, "--protocol " + given.protocol + " is not supported yet, only tcp.");

  auto config = Config::load_from_process();
  if (!config) return usage_error(app, "wrong configuration: " + config.error().message);
  if (auto configured = configure_log(*config); !configured) return usage_error(app, "wrong configuration: " + configured.error().message);
  set_log_name("distributed.worker");
  for (const std::string& warning : config->warnings()) log_warning("{}", warning);
  const auto seconds_of = [](const std::string& option, const std::string& text, std::optional<double>& into) -> Result<void> {
    if (text.empty()) return {};
    auto seconds = parse_timedelta(text);
    if (!seconds) return fail(ErrorCode::kInvalidArgument, option + ": " + seconds.error().message);
    into = *seconds;
    return {};
  };

  // ---- how many, and how big ----
  const int cores = worker::cpu_count();
  int nworkers = 1;
  if (given.nworkers == "auto") {
    std::tie(nworkers, given.nthreads) = processes_and_threads(cores);
  } else if (!given.nworkers.empty()) {
    char* end = nullptr;
    nworkers = static_cast<int>(std::strtol(given.nworkers.c_str(), &end, 10));
    if (*end != '\0') return usage_error(app, "--nworkers " + given.nworkers + ": give a number or 'auto'.");
    if (nworkers < 0) nworkers = cores + 1 + nworkers;
  }
  if (nworkers <= 0) return usage_error(app, "--nworkers must leave at least one worker.");
  if (nworkers > 1 && !options.nanny) return usage_error(app, "--no-nanny cannot be used with more than one worker (--nworkers).");
  if (nworkers > 1 && !given.listen_address.empty())
    return usage_error(app, "--listen-address cannot be used with more than one worker (--nworkers).");
  if (!given.contact_address.empty() && given.listen_address.empty()) return usage_error(app, "--contact-address needs --listen-address.");
  if (!given.listen_address.empty() && (!given.worker_port.empty() || !given.host.empty()))
    return usage_error(app, "--listen-address excludes --worker-port and --host.");
  options.nthreads = given.nthreads > 0 ? given.nthreads : std::max(1, cores / nworkers);
  auto worker_ports = parse_ports("--worker-port", given.worker_port);
  if (!worker_ports) return usage_error(app, worker_ports.error().message);
  auto nanny_ports = parse_ports("--nanny-port", given.nanny_port);
  if (!nanny_ports) return usage_error(app, nanny_ports.error().message);

  if (nworkers > 1) {
    const auto part = [nworkers](const std::vector<std::uint16_t>& ports, int i) -> std::string {
      if (ports == std::vector<std::uint16_t>{0}) return "0";
      const std::size_t first = ports.size() * static_cast<std::size_t>(i) / static_cast<std::size_t>(nworkers);
      const std::size_t last = ports.size() * static_cast<std::size_t>(i + 1) / static_cast<std::size_t>(nworkers);
      return first == last ? "" : std::to_string(ports[first]) + ":" + std::to_string(ports[last - 1]);
    };
    std::vector<std::vector<std::string>> commands;
    for (int i = 0; i < nworkers; ++i) {
      std::vector<std::string> command{"/proc/self/exe"};
      command.insert(command.end(), argv + 1, argv + argc);
      const std::string worker_part = part(*worker_ports, i), nanny_part = part(*nanny_ports, i);
      if (worker_part.empty() || nanny_part.empty())
        return usage_error(app, "not enough ports in --worker-port or --nanny-port for " + std::to_string(nworkers) + " workers.");
      for (const std::string& word :
           {std::string("--nworkers"), std::string("1"), std::string("--nthreads"), std::to_string(options.nthreads),
            std::string("--worker-port"), worker_part, std::string("--nanny-port"), nanny_part})
        command.push_back(word);
      if (!given.name.empty()) command.insert(command.end(), {"--name", given.name + "-" + std::to_string(i)});
      commands.push_back(std::move(command));
    }
    return run_many(commands);
  }

  // ---- where ----
  if (auto read = seconds_of("--death-timeout", given.death_timeout, options.death_timeout_seconds); !read)
    return usage_error(app, read.error().message);
  if (!given.scheduler_file.empty()) {
    auto address = read_scheduler_file(given.scheduler_file, options.death_timeout_seconds);
    if (!address) {
      log_error("{}", address.error().message);
      return 1;
    }
    given.scheduler = *address;
  }
  if (given.scheduler.empty())
    if (auto configured = config->get_string("scheduler-address")) given.scheduler = *configured;
  if (given.scheduler.empty())
    return usage_error(app, "need the scheduler's address, like 'dask-worker tcp://10.0.0.1:8786', or --scheduler-file.");
  auto scheduler = net::parse_address(given.scheduler);
  if (!scheduler) return usage_error(app, "scheduler " + scheduler.error().message);
  if (scheduler->scheme != "tcp") return usage_error(app, "scheduler " + given.scheduler + ": only tcp is supported yet.");
  if (scheduler->port == 0) scheduler->port = kSchedulerPort;
  if (scheduler->host.empty()) scheduler->host = "127.0.0.1";
  options.scheduler_address = scheduler->str();

  if (!given.interface.empty()) {
    if (!given.host.empty()) return usage_error(app, "--host and --interface exclude each other: give one of them.");
    std::string names;
    given.host = net::address_of_interface(given.interface, names);
    if (given.host.empty()) return usage_error(app, "--interface " + given.interface + " has no IPv4 address; there are " + names + ".");
  }
  std::uint16_t port = 0;
  const std::string& host = given.listen_address.empty() ? given.host : given.listen_address;
  if (host.find("://") != std::string::npos && host.rfind("tcp://", 0) != 0)
    return usage_error(app, "--host " + host + ": only tcp is supported yet.");
  if (!net::split_host_port(host, options.host, port))
    return usage_error(app, "--host " + host + ": the port must be a number from 0 to 65535.");
  options.worker_ports = port ? std::vector<std::uint16_t>{port} : *worker_ports;
  options.nanny_ports = *nanny_ports;
  if (!given.contact_address.empty()) {
    auto contact = net::parse_address(given.contact_address);
    if (!contact) return usage_error(app, "--contact-address: " + contact.error().message);
    options.contact_address = contact->str();
  }
  options.dashboard = given.dashboard;
  if (given.dashboard_address.empty()) given.dashboard_address = ":0";
  if (!net::split_host_port(given.dashboard_address, options.dashboard_host, options.dashboard_port))
    return usage_error(app, "--dashboard-address " + given.dashboard_address + " is no address: give :8789, host:8789 or :0.");

  // ---- what ----
  if (!given.name.empty()) {
    const bool number = given.name.size() < 18 && given.name.find_first_not_of("0123456789") == std::string::npos;
    options.name = number ? Value(std::stoll(given.name)) : Value(given.name);
  }
  std::string warning;
  auto limit = worker::parse_memory_limit(given.memory_limit, options.nthreads, cores, worker::system_memory_limit(), warning);
  if (!limit) return usage_error(app, "--memory-limit: " + limit.error().message);
  options.memory_limit_bytes = *limit;
  if (!warning.empty()) log_warning("{}", warning);
  auto fractions = worker::memory_fractions(*config);
  if (!fractions) return usage_error(app, "wrong configuration: " + fractions.error().message);
  options.memory_fractions = *fractions;
  auto resources = parse_resources(given.resources);
  if (!resources) return usage_error(app, resources.error().message);
  options.resources = *resources;
  if (given.resources.empty())
    if (const Value* configured = config->find("distributed.worker.resources"); configured && configured->map_if())
      for (const auto& [name, quantity] : *configured->map_if()) options.resources[std::string(name.as_string())] = quantity.as_double();
  if (options.local_directory.empty())
    if (auto configured = config->get_string("temporary-directory")) options.local_directory = *configured;
  if (options.local_directory.empty()) options.local_directory = std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp";
  std::optional<double> stagger;
  if (auto read = seconds_of("--lifetime", given.lifetime, options.lifetime_seconds); !read) return usage_error(app, read.error().message);
  if (auto read = seconds_of("--lifetime-stagger", given.lifetime_stagger, stagger); !read) return usage_error(app, read.error().message);
  if (given.lifetime.empty())
    if (auto configured = config->get_seconds("distributed.worker.lifetime.duration")) options.lifetime_seconds = *configured;
  if (given.lifetime_stagger.empty())
    if (auto configured = config->get_seconds("distributed.worker.lifetime.stagger")) stagger = *configured;
  if (options.lifetime_seconds && stagger)
    *options.lifetime_seconds += std::uniform_real_distribution<double>(-*stagger, *stagger)(*std::make_unique<std::random_device>());
  options.lifetime_restart = lifetime_restart.value_or(config->get_bool("distributed.worker.lifetime.restart").value_or(false));
  options.validate = config->get_bool("distributed.worker.validate").value_or(false);
  options.preload = given.preload;
  if (given.preload.empty())
    if (const Value* configured = config->find("distributed.worker.preload"); configured) options.preload = net::strings_of(*configured);
  if (options.python.empty()) options.python = worker::default_executor_python();
  options.python_path = worker::default_executor_python_path();
  if (options.nanny) {
    auto environment = worker::nanny_environment(*config);
    if (!environment) return usage_error(app, "wrong configuration: " + environment.error().message);
    options.environment = *std::move(environment);
  }
  options.config = *std::move(config);

  raise_file_limit();
  if (!given.pid_file.empty()) {
    std::ofstream file(given.pid_file);
    file << getpid() << "\n";
    if (!file.flush()) return usage_error(app, "cannot write --pid-file " + given.pid_file);
  }

  int code = 0;
  {
    net::Loop loop;
    SystemClock clock;
    worker::Nanny nanny(loop, clock, std::move(options), [&](int exit_code) {
      code = exit_code;
      loop.stop();
    });
    if (auto started = nanny.start(); !started) {
      log_error("The worker cannot start: {}", started.error().message);
      code = 1;
    } else {
      loop.on_signals([&](int number) {
        log_info("Received signal {} ({})", strsignal(number), number);
        nanny.signal(number);
      });
      loop.run();
    }
  }
  if (!given.pid_file.empty()) std::remove(given.pid_file.c_str());
  if (worker::native_functions_left_running() > 0) {
    std::fflush(nullptr);
    std::_Exit(code);
  }
  return code;
}
