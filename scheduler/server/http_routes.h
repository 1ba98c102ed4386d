// Routes: where the files that answer HTTP register their paths. It adds the dashboard's prefix and remembers the paths for
// /sitemap.json. Every path is served with and without the prefix: a proxy may strip it, a probe never has it.
// Links in answers are relative, so that they hold behind any proxy.
// Thread ownership: the loop's thread. Handlers must not outlive the Server.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "core/base/value.h"
#include "core/net/http.h"

namespace dask::scheduler {

class Server;

class Routes {
 public:
  Routes(net::HttpServer& http, const std::string& prefix);

  // Paths as in http.h: exact, or a prefix that ends in "/*" ("/info/*").
  void get(const std::string& path, net::HttpHandler handler);
  void post(const std::string& path, net::HttpHandler handler);
  void websocket(const std::string& path, std::function<void(net::WebSocketPtr)> opened);
  const std::set<std::string>& paths() const { return paths_; }
  const std::string& prefix() const { return prefix_; }  // "" or "/name"

 private:
  net::HttpServer& http_;
  std::string prefix_;
  std::set<std::string> paths_;
};

// A request's path without the dashboard's prefix.
std::string local_path(const std::string& prefix, const std::string& path);

net::HttpResponse text_response(std::string body, int status = 200);
net::HttpResponse html_response(std::string body, int status = 200);
net::HttpResponse json_response(std::string json, int status = 200);
net::HttpResponse json_response(const Value& value, int status = 200);
// To a path relative to the request's.
net::HttpResponse redirect_response(const std::string& location);

void add_health_routes(Server& server, Routes& routes);   // health_routes.cc: /health, /ready
void add_metrics_routes(Server& server, Routes& routes);  // metrics_routes.cc: /metrics
void add_json_routes(Server& server, Routes& routes);     // json_routes.cc: /json/*
void add_api_routes(Server& server, Routes& routes);      // api_routes.cc: /api/v1/*
void add_info_routes(Server& server, Routes& routes);     // info_routes.cc: /info/*
void add_live_page(Server& server, Routes& routes);       // live_page.cc: /status, /individual-*, /ws/status

}  // namespace dask::scheduler
