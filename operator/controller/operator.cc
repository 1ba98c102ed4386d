// Start, leadership, probes, end.
#include "operator/controller/operator.h"

#include <fmt/format.h>
#include <unistd.h>

#include <random>

#include "core/runtime/log.h"
#include "operator/controller/health.h"
#include "operator/controller/version.h"

namespace dask::kube {

namespace {

// Who we are among operators: the pod's name, else the host's, and a part that no other process has.
std::string new_identity() {
  std::string name;
  if (const char* pod = std::getenv("POD_NAME"); pod && *pod) {
    name = pod;
  } else {
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    name = *host ? host : "operator";
  }
  std::random_device random;
  return fmt::format("{}_{:08x}{:08x}", name, random(), random());
}

}  // namespace

Operator::Operator(net::Loop& loop, const Clock& clock, OperatorOptions options)
    : loop_(loop), clock_(clock), options_(std::move(options)), identity_(new_identity()), ticked_(clock.monotonic()) {
  add_process_metrics(metrics_);
  metrics_.gauge("dask_operator_build_info", "The version of this program.", {{"version", std::string(kVersion)}}).set(1);
}

Operator::~Operator() = default;

Result<void> Operator::serve() {
  net::HttpServer::Limits limits;
  limits.connections_max = 128;
  auto server = net::serve_http(loop_, options_.host, options_.port, false, limits, "pass --health-address :0");
  if (!server)
    return fail(server.error().code,
                fmt::format("cannot serve /healthz and /metrics at {}:{}: {}", options_.host, options_.port, server.error().message));
  http_ = *std::move(server);
  tick_ = loop_.every(std::chrono::seconds(1), [this] { ticked_ = clock_.monotonic(); });
  const HealthCheck loop_turns{"loop", [this]() -> std::string {
                                 const double since = clock_.monotonic() - ticked_;
                                 return since < kStuckAfterSeconds ? "" : fmt::format("it has not turned for {:.0f} s", since);
                               }};
  const HealthCheck synced{"caches", [this]() -> std::string {
                             if (!controller_) return "waiting for credentials";
                             if (controller_->synced()) return "";
                             const auto troubles = controller_->caches().troubles();
                             return troubles.empty() ? "not filled yet" : troubles.front();
                           }};
  const HealthCheck reached{"api-server", [this]() -> std::string {
                              if (!controller_ || controller_->caches().failing_s() < kUnreadyAfterSeconds) return "";
                              const auto troubles = controller_->caches().troubles();
                              return troubles.empty() ? "it does not answer" : troubles.front();
                            }};
  const HealthCheck staying{"shutdown", [this]() -> std::string { return terminating_ ? "this operator is ending" : ""; }};
  add_health_routes(*http_, {loop_turns}, {loop_turns, synced, reached, staying}, metrics_);
  return {};
}

Result<void> Operator::start(KubeAccess access) {
  std::string lease_namespace = options_.lease_namespace;
  if (lease_namespace.empty()) lease_namespace = access.name_space;
  if (lease_namespace.empty()) lease_namespace = "default";
  const std::string server = access.server;
  const std::string origin = access.origin;
  DASK_TRY(client_, KubeClient::create(loop_, clock_, std::move(access), fmt::format("dask-operator/{} (linux)", kVersion), &metrics_));
  DASK_TRY_VOID(serve());
  std::string scope;
  for (const std::string& ns : options_.namespaces) scope += (scope.empty() ? "namespaces " : ", ") + ns;
  log_info("dask-operator {}: {} at {}, {}; /healthz, /readyz and /metrics at port {}", kVersion, origin, server,
           scope.empty() ? "all namespaces" : scope, http_->port());
  metrics_
      .gauge("leader_election_master_status",
             "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.",
             {{"name", options_.lease_name}})
      .set(0);
  client_->start([this, lease_namespace](Result<void> ready) {
    if (!ready) log_warning("Going on without: the API server will refuse us until there are credentials");
    controller_ = std::make_unique<Controller>(loop_, clock_, *client_, options_, metrics_, identity_);
    controller_->start();
    elect(lease_namespace);
  });
  return {};
}

void Operator::elect(const std::string& lease_namespace) {
  auto master = metrics_.gauge("leader_election_master_status", "", {{"name", options_.lease_name}});
  if (!options_.leader_elect) {
    master.set(1);
    return controller_->lead();
  }
  LeaderElector::Handlers handlers;
  handlers.started = [this, master]() mutable {
    master.set(1);
    controller_->lead();
  };
  handlers.lost = [this, master]() mutable {
    master.set(0);
    controller_->abandon();
    finish(1);  // what is half done is the next leader's, which starts from what it sees
  };
  elector_ = std::make_unique<LeaderElector>(loop_, clock_, *client_, lease_namespace, options_.lease_name, identity_, std::move(handlers),
                                             std::random_device()());
  elector_->start();
}

void Operator::terminate() {
  if (std::exchange(terminating_, true)) return;
  auto release = [this] {
    if (!elector_) return finish(0);
    elector_->release([this] { finish(0); });
  };
  if (!controller_) return finish(0);
  controller_->stop(release);
}

void Operator::finish(int exit_code) {
  if (auto finished = std::exchange(finished_, {})) finished(exit_code);
}

}  // namespace dask::kube
