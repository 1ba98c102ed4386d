// dask-operator: reads the command line, finds the API server, then runs Operator until a signal or the loss of its leadership.
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>

#include <cstdio>

#include "core/net/address.h"
#include "core/runtime/command_line.h"
#include "core/runtime/config.h"
#include "core/runtime/log.h"
#include "core/runtime/process.h"
#include "operator/controller/operator.h"
#include "operator/controller/version.h"

extern char** environ;

namespace {

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> out;
  for (char** at = environ; at && *at; ++at) {
    const std::string line(*at);
    if (const std::size_t equals = line.find('='); equals != std::string::npos) out[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace dask;
  signal(SIGPIPE, SIG_IGN);
  // Few threads allocate much at once: more arenas than this only keep memory that nobody uses.
  mallopt(M_ARENA_MAX, 2);

  kube::OperatorOptions options;
  std::string health_address, log_level = "info";
  int port = -1;
  bool all_namespaces = false, version = false;

  CLI::App app{"Dask's Kubernetes operator, native: runs DaskClusters and DaskWorkerGroups (kubernetes.dask.org/v1).", "dask-operator"};
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--namespace", options.namespaces, "A namespace to work in; may be repeated (default: all)")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->delimiter(',');
  app.add_flag("--all-namespaces", all_namespaces, "Work in all namespaces (the default)");
  app.add_option("--kubeconfig", options.kubeconfig, "kubeconfig file (default: $KUBECONFIG, the pod's service account, ~/.kube/config)");
  app.add_option("--context", options.context, "Context of the kubeconfig (default: its current one)");
  app.add_flag("--leader-elect", options.leader_elect, "Work only while holding a Lease, so that several replicas may run");
  app.add_option("--leader-election-namespace", options.lease_namespace, "Namespace of the Lease (default: the operator's own)");
  app.add_option("--leader-election-id", options.lease_name, "Name of the Lease (default: dask-operator)");
  app.add_option("--health-address,--metrics-bind-address,--health-probe-bind-address", health_address,
                 "Where to serve /healthz, /readyz and /metrics (default: :8080; :0: any free port)");
  app.add_option("--port", port, "The port of --health-address")->check(CLI::Range(0, 65535));
  app.add_option("--cluster-domain", options.settings.cluster_domain, "DNS domain of the Kubernetes cluster (default: cluster.local)");
  app.add_option("--max-concurrent-reconciles", options.reconciles_max, "Clusters that are worked on at the same time (default: 10)")
      ->check(CLI::Range(1, 1000));
  app.add_option("--scheduler-address-template", options.scheduler_address_template,
                 "How to reach schedulers: text with {host}, {ip}, {port}, {cluster}, {namespace} (default: tcp://{ip}:{port})");
  app.add_option("--log-level", log_level, "debug, info, warning or error (default: info)")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}, CLI::ignore_case));
  app.add_flag("--version", version, "Show the version and end");

  std::vector<std::string> ignored;
  std::vector<std::string> arguments = kube::understand_kopf_arguments({argv + 1, argv + argc}, ignored);
  if (auto end = read_command_line(app, std::move(arguments))) return *end;
  if (version) {
    std::printf("dask-native operator %s, resources of kubernetes.dask.org/v1\n", std::string(kube::kVersion).c_str());
    return 0;
  }
  if (all_namespaces && !options.namespaces.empty())
    return usage_error(app, "--all-namespaces and --namespace exclude each other: give one of them.");
  for (const std::string& ns : options.namespaces) {
    if (ns.empty() || ns.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
      return usage_error(app, "--namespace '" + ns + "' is no name of a namespace.");
  }
  options.port = 8080;
  std::string host;
  if (!health_address.empty() && !net::split_host_port(health_address, host, options.port))
    return usage_error(app, "--health-address " + health_address + " is no address: give :8080, host:8080 or :0.");
  if (!host.empty()) options.host = host;
  if (port >= 0) options.port = static_cast<std::uint16_t>(port);
  const auto variables = environment();
  if (auto ns = variables.find("POD_NAMESPACE"); options.lease_namespace.empty() && ns != variables.end())
    options.lease_namespace = ns->second;

  Config config;
  config.set("distributed.logging", Value(Value::Map{{"dask.operator", log_level}}), "--log-level");
  if (auto configured = configure_log(config); !configured) return usage_error(app, configured.error().message);
  set_log_name("dask.operator");
  if (!ignored.empty()) {
    std::string all;
    for (const std::string& one : ignored) all += (all.empty() ? "" : " ") + one;
    log_info("Arguments of the Python operator that mean nothing here: {}", all);
  }
  auto allocation = [&](const std::string& name, double unit, std::int64_t& setting) {
    auto text = variables.find("DASK_KUBERNETES__CONTROLLER__WORKER_ALLOCATION__" + name);
    if (text == variables.end() || text->second.empty() || text->second == "null" || text->second == "None") return true;
    auto value = parse_timedelta(text->second);
    if (!value || *value < 0 || *value > 1e6) return false;
    setting = static_cast<std::int64_t>(*value * unit);
    return true;
  };
  if (!allocation("BATCH_SIZE", 1, options.settings.worker_batch_size) ||
      !allocation("DELAY", 1000, options.settings.worker_batch_delay_ms))
    return usage_error(app, "DASK_KUBERNETES__CONTROLLER__WORKER_ALLOCATION__BATCH_SIZE and __DELAY must be numbers.");

  auto access = kube::find_access(options.kubeconfig, options.context, variables);
  if (!access) {
    log_error("The operator cannot start: {}", access.error().message);
    return 1;
  }
  // cpprestsdk reads all of the machine's authorities for each connection, which takes 20 ms, before it hears that ours are given. A
  // credential plugin needs them: it has our environment.
  if (!access->ca_pem.empty() && !access->exec) setenv("SSL_CERT_FILE", "/dev/null", 1);
  raise_file_limit();
  net::Loop loop;
  SystemClock clock;
  int exit_code = 0;
  {
    kube::Operator program(loop, clock, std::move(options));
    program.on_finished([&](int code) {
      exit_code = code;
      loop.stop();
    });
    if (auto started = program.start(*std::move(access)); !started) {
      log_error("The operator cannot start: {}", started.error().message);
      return 1;
    }
    bool asked = false;
    loop.on_signals([&](int signal) {
      if (std::exchange(asked, true)) {
        log_warning("Received signal {} again: ending at once", signal);
        exit_code = 1;
        return loop.stop();
      }
      log_info("Received signal {} ({})", strsignal(signal), signal);
      program.terminate();
    });
    loop.run();
  }
  log_info("The operator has ended");
  return exit_code;
}
