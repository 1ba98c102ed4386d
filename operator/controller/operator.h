// Operator: the parts of the program in their order: access to the API server, caches, leadership, work, and the way out.
// Thread ownership: the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/net/http.h"
#include "core/net/loop.h"
#include "core/obs/metrics.h"
#include "core/runtime/clock.h"
#include "operator/controller/controller.h"
#include "operator/controller/options.h"
#include "operator/kube/client.h"
#include "operator/kube/leader.h"

namespace dask::kube {

// Watches that reach no API server for so long make /readyz fail; the caches are old by then.
inline constexpr double kUnreadyAfterSeconds = 60;
// The loop has not turned for so long: /healthz fails, and Kubernetes starts the program anew.
inline constexpr double kStuckAfterSeconds = 30;

class Operator {
 public:
  Operator(net::Loop& loop, const Clock& clock, OperatorOptions options);
  ~Operator();

  // kInvalidArgument or kNotFound: there is no API server to talk to; kUnavailable: the port is taken.
  Result<void> start(KubeAccess access);
  // Finishes what is under way, gives the lease back, then calls what on_finished() was given.
  void terminate();
  // `exit_code`: 0 after terminate(), 1 when the leadership was lost.
  void on_finished(std::function<void(int exit_code)> finished) { finished_ = std::move(finished); }
  std::uint16_t port() const { return http_->port(); }

 private:
  Result<void> serve();
  void elect(const std::string& lease_namespace);
  void finish(int exit_code);

  net::Loop& loop_;
  const Clock& clock_;
  OperatorOptions options_;
  std::string identity_;
  Metrics metrics_;
  std::unique_ptr<net::HttpServer> http_;
  std::unique_ptr<KubeClient> client_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<LeaderElector> elector_;
  std::function<void(int)> finished_;
  net::Loop::Timer tick_;
  double ticked_ = 0;
  bool terminating_ = false;
};

}  // namespace dask::kube
