// Probes and metrics.
#include "operator/controller/health.h"

#include <fmt/format.h>

namespace dask::kube {

net::HttpResponse answer_health(const std::vector<HealthCheck>& checks, const net::HttpRequest& request) {
  std::string lines;
  bool well = true;
  auto excluded = request.query.find("exclude");
  for (const HealthCheck& check : checks) {
    if (excluded != request.query.end() && excluded->second == check.name) {
      lines += fmt::format("[+]{} excluded: ok\n", check.name);
      continue;
    }
    const std::string trouble = check.trouble();
    well = well && trouble.empty();
    lines += trouble.empty() ? fmt::format("[+]{} ok\n", check.name) : fmt::format("[-]{} failed: {}\n", check.name, trouble);
  }
  net::HttpResponse response;
  response.status = well ? 200 : 500;
  response.headers["Cache-Control"] = "no-store";
  const bool verbose = request.query.count("verbose") > 0;
  response.body = well && !verbose ? "ok" : fmt::format("{}{} check {}\n", lines, request.path.substr(1), well ? "passed" : "failed");
  return response;
}

void add_health_routes(net::HttpServer& server, std::vector<HealthCheck> health, std::vector<HealthCheck> ready, Metrics& metrics) {
  server.route("GET", "/healthz", [health = std::move(health)](const net::HttpRequest& request, const net::HttpReply& reply) {
    reply(answer_health(health, request));
  });
  server.route("GET", "/readyz", [ready = std::move(ready)](const net::HttpRequest& request, const net::HttpReply& reply) {
    reply(answer_health(ready, request));
  });
  server.route("GET", "/metrics", [&metrics](const net::HttpRequest&, const net::HttpReply& reply) {
    reply({.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics.expose()});
  });
}

}  // namespace dask::kube
