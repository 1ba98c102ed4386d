// HTTP server (Boost.Beast, one .cc): routes to handlers on the loop's thread. A foreign Origin is refused on POST and
// WebSocket; POST wants application/json. Server-sent pushes go through WebSocket routes (/eventstream, the live page).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/net/comm.h"
#include "core/net/loop.h"

namespace dask::net {

struct HttpRequest {
  std::string method;  // GET, POST, HEAD
  std::string path;    // decoded, without the query
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::map<std::string, std::string> headers;
};

// Answers a request, now or later, exactly once.
using HttpReply = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(const HttpRequest&, HttpReply)>;

// One browser that listens: the server pushes texts to it. Dropped when it does not keep up (websocket_queue_bytes_max);
// a sender that can skip looks at queued_bytes() first.
class WebSocket {
 public:
  virtual ~WebSocket() = default;
  virtual void send(std::string text) = 0;
  virtual void on_text(std::function<void(std::string)> handler) = 0;
  virtual void on_closed(std::function<void()> handler) = 0;  // once, unless close() was ours
  virtual std::size_t queued_bytes() const = 0;
  virtual const HttpRequest& request() const = 0;  // the one that opened it, for its query
  virtual void close() = 0;
};
using WebSocketPtr = std::shared_ptr<WebSocket>;

class HttpServer {
 public:
  struct Limits {
    std::size_t body_bytes_max = 1 << 20;
    std::size_t header_bytes_max = 16 << 10;
    std::size_t connections_max = 1024;
    std::size_t websocket_queue_bytes_max = 4 << 20;
    Loop::Duration idle_timeout = std::chrono::seconds(60);
  };
  virtual ~HttpServer() = default;
  // Exact path ("/health") or prefix ("/info/*"); the longest match wins.
  virtual void route(std::string method, std::string path, HttpHandler handler) = 0;
  // Exact path; `opened` gets each connection. Keep the pointer as long as you want to send.
  virtual void websocket(std::string path, std::function<void(WebSocketPtr)> opened) = 0;
  virtual std::uint16_t port() const = 0;
  virtual void close() = 0;
};

// Listens at host:port; when `port` is taken and `next_free` is set, takes the next free one (as Dask's dashboard does). `remedy` ends
// the error's "stop the other program or …".
Result<std::unique_ptr<HttpServer>> serve_http(Loop& loop, const std::string& host, std::uint16_t port, bool next_free,
                                               HttpServer::Limits limits, std::string_view remedy = "pass --dashboard-address :0");

}  // namespace dask::net
