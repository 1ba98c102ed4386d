// /api/v1: what operators and autoscalers ask for. Shapes follow distributed/http/scheduler/api.py.
#include <algorithm>
#include <cmath>

#include "core/base/json.h"
#include "core/runtime/log.h"
#include "scheduler/policy/closing.h"
#include "scheduler/server/cluster_queries.h"
#include "scheduler/server/http_routes.h"
#include "scheduler/server/rpc_call.h"
#include "scheduler/server/server.h"
#include "scheduler/server/shuffle_manager.h"

namespace dask::scheduler {
namespace {

net::HttpResponse bad_request(const std::string& what) { return json_response(Value(Value::Map{{"Error", what}}), 400); }

void get_workers(Server& server, net::HttpReply reply) {
  Value::Array workers;
  for (const auto& [address, id] : server.state().workers())
    workers.emplace_back(Value::Map{{"name", server.state().worker(id).name}, {"address", address}});
  const std::size_t count = workers.size();
  reply(json_response(Value(Value::Map{{"num_workers", count}, {"workers", Value(std::move(workers))}})));
}

// {"n": how many} lets the scheduler choose; {"workers": [addresses]} names them, unknown ones are passed over.
void retire_workers(Server& server, const net::HttpRequest& request, net::HttpReply reply) {
  auto body = parse_json(request.body);
  if (!body) return reply(bad_request("the body is " + body.error().message));
  if (!body->is_map()) return reply(bad_request("the body must be an object: {\"n\": 2} or {\"workers\": [\"tcp://host:port\"]}"));
  const Value& n = (*body)["n"];
  const Value& named = (*body)["workers"];
  if (!n.is_nil() && (!n.is_int() || n.as_int(-1) < 0)) return reply(bad_request("\"n\" must be a whole number that is not negative"));
  std::vector<WorkerId> ids;
  if (n.as_int() > 0) {
    ClosingRequest closing;
    closing.n = n.as_int();
    closing.kept = server.shuffles().shuffles().participating();
    ids = workers_to_close(server.state(), closing);
  } else if (named.is_array()) {
    for (const std::string& address : strings_of(named))
      if (const Worker* ws = server.state().find_worker(address)) ids.push_back(ws->id);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  } else if (!named.is_nil() && !(named.is_map() && named.size() == 0)) {
    return reply(bad_request("\"workers\" must be a list of addresses"));
  }
  std::map<WorkerId, Value> identities;
  for (WorkerId id : ids) identities.emplace(id, server.worker_identity(server.state().worker(id)));
  const std::string stimulus_id = server.stimulus("retire-workers-http");
  log_info("HTTP request to retire {} worker(s) (stimulus_id='{}')", ids.size(), stimulus_id);
  server.retire(std::move(ids), false, true, stimulus_id, [&server, reply, identities](std::vector<WorkerId> gone) {
    Value::Map answer;
    for (WorkerId id : gone) answer.emplace_back(server.state().worker(id).address, identities.at(id));
    reply(json_response(Value(std::move(answer))));
  });
}

}  // namespace

void add_api_routes(Server& server, Routes& routes) {
  routes.get("/api/v1", [](const net::HttpRequest&, net::HttpReply reply) { reply(text_response("API V1")); });
  routes.get("/api/v1/get_workers", [&server](const net::HttpRequest&, net::HttpReply reply) { get_workers(server, std::move(reply)); });
  routes.post("/api/v1/retire_workers",
              [&server](const net::HttpRequest& request, net::HttpReply reply) { retire_workers(server, request, std::move(reply)); });
  routes.get("/api/v1/adaptive_target", [&server](const net::HttpRequest&, net::HttpReply reply) {
    reply(json_response(Value(Value::Map{{"workers", desired_workers(server)}})));
  });
  routes.get("/api/v1/check_idle", [&server](const net::HttpRequest&, net::HttpReply reply) {
    const double since = server.graphs_in_progress() > 0 ? -1 : server.machine().idle_since(server.now());
    reply(json_response(Value(Value::Map{{"idle_since", since < 0 ? Value() : Value(since)}})));
  });
}

}  // namespace dask::scheduler
