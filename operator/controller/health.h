// The operator's HTTP routes: /healthz, /readyz, /metrics.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/net/http.h"
#include "core/obs/metrics.h"

namespace dask::kube {

// One check: its name, and what is wrong (empty: nothing).
struct HealthCheck {
  std::string name;
  std::function<std::string()> trouble;
};

// As Kubernetes' own programs answer: "ok", or 500 with each check; `?verbose` lists them all, `?exclude=name` leaves one out.
net::HttpResponse answer_health(const std::vector<HealthCheck>& checks, const net::HttpRequest& request);

void add_health_routes(net::HttpServer& server, std::vector<HealthCheck> health, std::vector<HealthCheck> ready, Metrics& metrics);

}  // namespace dask::kube
