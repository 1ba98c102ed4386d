// The table of contents of the scheduler's HTTP: each group adds its routes, and /sitemap.json lists them all.
#include "scheduler/server/routes.h"

#include "core/base/json.h"
#include "scheduler/server/http_routes.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

// "/name" of "name", "/name/", "name/"; empty of "" and "/".
std::string normal_prefix(std::string_view prefix) {
  while (!prefix.empty() && prefix.front() == '/') prefix.remove_prefix(1);
  while (!prefix.empty() && prefix.back() == '/') prefix.remove_suffix(1);
  std::string normal;
  if (!prefix.empty()) normal.append("/").append(prefix);
  return normal;
}

}  // namespace

Routes::Routes(net::HttpServer& http, const std::string& prefix) : http_(http), prefix_(normal_prefix(prefix)) {}

void Routes::get(const std::string& path, net::HttpHandler handler) {
  paths_.insert(prefix_ + path);
  if (!prefix_.empty()) http_.route("GET", prefix_ + path, handler);
  http_.route("GET", path, std::move(handler));
}

void Routes::post(const std::string& path, net::HttpHandler handler) {
  paths_.insert(prefix_ + path);
  if (!prefix_.empty()) http_.route("POST", prefix_ + path, handler);
  http_.route("POST", path, std::move(handler));
}

void Routes::websocket(const std::string& path, std::function<void(net::WebSocketPtr)> opened) {
  paths_.insert(prefix_ + path);
  if (!prefix_.empty()) http_.websocket(prefix_ + path, opened);
  http_.websocket(path, std::move(opened));
}

std::string local_path(const std::string& prefix, const std::string& path) {
  return !prefix.empty() && path.starts_with(prefix + "/") ? path.substr(prefix.size()) : path;
}

net::HttpResponse text_response(std::string body, int status) {
  net::HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

net::HttpResponse html_response(std::string body, int status) {
  net::HttpResponse response = text_response(std::move(body), status);
  response.content_type = "text/html; charset=utf-8";
  return response;
}

net::HttpResponse json_response(std::string json, int status) {
  net::HttpResponse response = text_response(std::move(json), status);
  response.content_type = "application/json";
  response.headers["Cache-Control"] = "no-store";
  return response;
}

net::HttpResponse json_response(const Value& value, int status) { return json_response(to_json(value), status); }

net::HttpResponse redirect_response(const std::string& location) {
  net::HttpResponse response = text_response("See " + location + "\n", 302);
  response.headers["Location"] = location;
  return response;
}

void add_routes(Server& server, net::HttpServer& http) {
  Routes routes(http, server.options().dashboard_prefix);
  http.route("GET", "/", [](const net::HttpRequest&, net::HttpReply reply) { reply(redirect_response("status")); });
  if (const std::string& prefix = routes.prefix(); !prefix.empty()) {
    const std::string name = prefix.substr(prefix.rfind('/') + 1);
    http.route("GET", prefix, [name](const net::HttpRequest&, net::HttpReply reply) { reply(redirect_response(name + "/status")); });
    http.route("GET", prefix + "/", [](const net::HttpRequest&, net::HttpReply reply) { reply(redirect_response("status")); });
  }
  add_health_routes(server, routes);
  add_metrics_routes(server, routes);
  add_json_routes(server, routes);
  add_api_routes(server, routes);
  add_info_routes(server, routes);
  add_live_page(server, routes);
  routes.get("/sitemap.json", [paths = routes.paths()](const net::HttpRequest&, net::HttpReply reply) {
    Value::Array list;
    for (const std::string& path : paths) list.emplace_back(path);
    reply(json_response(Value(Value::Map{{"paths", Value(std::move(list))}})));
  });
}

}  // namespace dask::scheduler
