// HttpServer and its WebSockets on Boost.Beast: the only file that includes it. A connection serves one request at a time
// and stays open for the next; everything a client may do wrong is answered in plain text.
#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <optional>
#include <set>

#include "core/net/acceptor.h"
#include "core/net/http.h"
#include "core/net/http_text.h"
#include "core/net/loop_impl.h"
#include "core/runtime/log.h"

namespace dask::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int kBacklog = 128;
constexpr int kPortsTried = 100;
constexpr auto kAcceptRetry = std::chrono::milliseconds(250);
constexpr auto kWebSocketHandshakeTimeout = std::chrono::seconds(5);  // opening, and closing
constexpr std::size_t kWebSocketMessageBytesMax = 1 << 20;

struct Route {
  std::string method;
  std::string path;  // without the final "*" of a prefix
  bool prefix = false;
  HttpHandler handler;
  bool matches(std::string_view wanted) const { return prefix ? wanted.starts_with(path) : wanted == path; }
};

// Something open that the server ends when it closes.
class Connection {
 public:
  virtual ~Connection() = default;
  virtual void end() = 0;
};

// What sessions share with the server; outlives it until the last session is gone.
struct Site : std::enable_shared_from_this<Site> {
  Site(Loop& the_loop, HttpServer::Limits the_limits) : loop(the_loop), limits(the_limits) {}

  // The longest match; `allowed` collects the methods that the path has.
  const Route* find(std::string_view method, std::string_view path, std::string& allowed) const {
    const Route* best = nullptr;
    for (const Route& route : routes) {
      if (!route.matches(path)) continue;
      bool fits = route.method == method || (method == "HEAD" && route.method == "GET");
      if (!fits) {
        if (allowed.find(route.method) == std::string::npos) allowed += (allowed.empty() ? "" : ", ") + route.method;
      } else if (!best || route.path.size() > best->path.size() || (route.path.size() == best->path.size() && !route.prefix)) {
        best = &route;
      }
    }
    return best;
  }

  Loop& loop;
  HttpServer::Limits limits;
  std::vector<Route> routes;
  std::map<std::string, std::function<void(WebSocketPtr)>> websockets;
  std::set<std::shared_ptr<Connection>> connections;
  bool short_of_resources = false;
  bool closed = false;
};

HttpResponse plain(int status, std::string text) { return {status, "text/plain; charset=utf-8", std::move(text) + "\n", {}}; }

// ---- WebSocket ----------------------------------------------------------------------------------------------------------

class Socket final : public WebSocket, public Connection, public std::enable_shared_from_this<Socket> {
 public:
  Socket(std::shared_ptr<Site> site, beast::tcp_stream stream, HttpRequest request)
      : site_(std::move(site)), stream_(std::move(stream)), request_(std::move(request)) {}

  void accept(const http::request<http::string_body>& upgrade, std::function<void(WebSocketPtr)> opened) {
    beast::get_lowest_layer(stream_).expires_never();
    auto timeout = beast::websocket::stream_base::timeout::suggested(beast::role_type::server);
    timeout.idle_timeout = std::chrono::duration_cast<std::chrono::steady_clock::duration>(site_->limits.idle_timeout);
    timeout.handshake_timeout = kWebSocketHandshakeTimeout;
    timeout.keep_alive_pings = true;
    stream_.set_option(timeout);
    stream_.read_message_max(kWebSocketMessageBytesMax);
    stream_.text(true);
    site_->connections.insert(shared_from_this());
    stream_.async_accept(upgrade, [me = shared_from_this(), opened = std::move(opened)](const error_code& error) {
      if (error || me->site_->closed) return me->finish();
      me->open_ = true;
      opened(me);
      me->read();
      me->write();
    });
  }

  void send(std::string text) override {
    if (ended_) return;
    queued_ += text.size();
    queue_.push_back(std::move(text));
    if (queued_ > site_->limits.websocket_queue_bytes_max) {
      log_warning("a WebSocket at {} does not read: {} bytes wait for it, more than the limit of {}; it is closed", request_.path, queued_,
                  site_->limits.websocket_queue_bytes_max);
      asio::post(site_->loop.impl().context, [me = shared_from_this()] { me->finish(); });
      return;
    }
    write();
  }
  void on_text(std::function<void(std::string)> handler) override { text_handler_ = std::move(handler); }
  void on_closed(std::function<void()> handler) override { closed_handler_ = std::move(handler); }
  std::size_t queued_bytes() const override { return queued_; }
  const HttpRequest& request() const override { return request_; }

  void close() override {
    if (ended_ || closing_) return;
    closing_ = true;
    asio::post(site_->loop.impl().context, [me = shared_from_this()] {
      me->text_handler_ = nullptr;
      me->closed_handler_ = nullptr;
    });
    if (!writing_ && open_) say_goodbye();
  }
  void end() override {
    closed_handler_ = nullptr;
    finish();
  }

 private:
  void read() {
    stream_.async_read(input_, [me = shared_from_this()](const error_code& error, std::size_t) {
      if (error) return me->finish();
      std::string text = beast::buffers_to_string(me->input_.data());
      me->input_.clear();
      auto handler = me->text_handler_;
      if (handler && !me->closing_) handler(std::move(text));
      if (!me->ended_) me->read();
    });
  }

  void write() {
    if (writing_ || !open_ || queue_.empty() || ended_) return;
    writing_ = true;
    stream_.async_write(asio::buffer(queue_.front()), [me = shared_from_this()](const error_code& error, std::size_t) {
      me->writing_ = false;
      if (error) return me->finish();
      me->queued_ -= me->queue_.front().size();
      me->queue_.pop_front();
      if (me->queue_.empty() && me->closing_) return me->say_goodbye();
      me->write();
    });
  }

  void say_goodbye() {
    stream_.async_close(beast::websocket::close_code::going_away, [me = shared_from_this()](const error_code&) { me->finish(); });
  }

  void finish() {
    if (ended_) return;
    auto me = shared_from_this();
    ended_ = true;
    beast::get_lowest_layer(stream_).close();
    site_->connections.erase(me);
    auto handler = std::move(closed_handler_);
    closed_handler_ = nullptr;
    text_handler_ = nullptr;
    if (handler && !closing_ && open_) handler();
  }

  std::shared_ptr<Site> site_;
  beast::websocket::stream<beast::tcp_stream> stream_;
  HttpRequest request_;
  beast::flat_buffer input_;
  std::deque<std::string> queue_;
  std::size_t queued_ = 0;
  std::function<void(std::string)> text_handler_;
  std::function<void()> closed_handler_;
  bool open_ = false;
  bool writing_ = false;
  bool closing_ = false;
  bool ended_ = false;
};

// ---- one HTTP connection ------------------------------------------------------------------------------------------------

class Session final : public Connection, public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Site> site, tcp::socket socket) : site_(std::move(site)), stream_(std::move(socket)) {}

  void start() {
    site_->connections.insert(shared_from_this());
    read();
  }
  void end() override { finish(); }

 private:
  using Response = http::response<http::string_body>;

  void read() {
    parser_.emplace();
    parser_->body_limit(site_->limits.body_bytes_max);
    parser_->header_limit(static_cast<std::uint32_t>(site_->limits.header_bytes_max));
    stream_.expires_after(site_->limits.idle_timeout);
    http::async_read(stream_, input_, *parser_, [me = shared_from_this()](const error_code& error, std::size_t) { me->read_done(error); });
  }

  void read_done(const error_code& error) {
    if (ended_) return;
    stream_.expires_never();
    method_ = std::string(parser_->get().method_string());
    keep_alive_ = !error && parser_->get().keep_alive();
    version_ = error ? 11 : parser_->get().version();
    if (!error) return dispatch();
    if (error == http::error::body_limit) {
      return respond(plain(413, fmt::format("the body is larger than {} bytes", site_->limits.body_bytes_max)));
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return respond(plain(431, fmt::format("the headers are larger than {} bytes", site_->limits.header_bytes_max)));
    }
    if (error.category() == make_error_code(http::error::bad_method).category() && error != http::error::end_of_stream &&
        error != http::error::partial_message) {
      return respond(plain(400, fmt::format("this is no HTTP request: {}", error.message())));
    }
    finish();  // the client left, or was idle for too long
  }

  void dispatch() {
    auto& message = parser_->get();
    HttpRequest request;
    request.method = method_;
    if (!parse_target({message.target().data(), message.target().size()}, request.path, request.query)) {
      return respond(plain(400, "the request's target cannot be read"));
    }
    for (const auto& field : message) {
      std::string name(field.name_string());
      for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      request.headers[name] = std::string(field.value());
    }
    bool upgrade = beast::websocket::is_upgrade(message);
    if (upgrade || method_ == "POST") {
      auto origin = request.headers.find("origin");
      if (origin != request.headers.end() && !is_same_origin(origin->second, request.headers["host"])) {
        return respond(plain(403, fmt::format("requests of the foreign origin {:.200} are refused", origin->second)));
      }
    }
    if (upgrade) {
      auto opened = site_->websockets.find(request.path);
      if (opened == site_->websockets.end()) return respond(plain(404, fmt::format("there is no WebSocket at {:.500}", request.path)));
      auto socket = std::make_shared<Socket>(site_, std::move(stream_), std::move(request));
      site_->connections.erase(shared_from_this());
      ended_ = true;
      return socket->accept(message, opened->second);
    }
    std::string allowed;
    const Route* route = site_->find(method_, request.path, allowed);
    if (!route) {
      if (allowed.empty()) return respond(plain(404, fmt::format("there is nothing at {:.500}", request.path)));
      HttpResponse response = plain(405, fmt::format("{:.100} is not possible at {:.500}; use {}", method_, request.path, allowed));
      response.headers["Allow"] = allowed;
      return respond(std::move(response));
    }
    if (method_ == "POST") {
      std::string_view type = request.headers["content-type"];
      if (!beast::iequals(beast::string_view(type.data(), std::min(type.size(), type.find(';'))), "application/json")) {
        return respond(plain(415, "POST needs the header Content-Type: application/json"));
      }
    }
    request.body = std::move(message.body());
    auto handler = route->handler;  // it may change the routes
    handler(request, [me = shared_from_this(), number = ++request_number_](HttpResponse response) {
      if (number == me->request_number_ && !me->answered_) me->respond(std::move(response));
    });
  }

  void respond(HttpResponse from) {
    if (ended_) return;
    answered_ = true;
    bool head = method_ == "HEAD";
    response_.emplace(static_cast<http::status>(from.status), version_);
    response_->set(http::field::server, "dask-native");
    response_->set(http::field::content_type, from.content_type);
    response_->set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : from.headers) response_->set(name, value);
    response_->keep_alive(keep_alive_);
    response_->content_length(from.body.size());
    if (!head) response_->body() = std::move(from.body);
    stream_.expires_after(site_->limits.idle_timeout);
    auto done = [me = shared_from_this()](const error_code& error, std::size_t) { me->write_done(error); };
    if (head) {
      serializer_.emplace(*response_);
      serializer_->split(true);
      http::async_write_header(stream_, *serializer_, std::move(done));
    } else {
      http::async_write(stream_, *response_, std::move(done));
    }
  }

  void write_done(const error_code& error) {
    serializer_.reset();
    response_.reset();
    if (ended_) return;
    if (error || site_->closed) return finish();
    if (keep_alive_) {
      answered_ = false;
      return read();
    }
    linger();
  }

  // Reads what the client still sends, so that our answer reaches it before the connection is reset.
  void linger() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::seconds(1));
    drain();
  }
  void drain() {
    input_.clear();
    stream_.async_read_some(input_.prepare(4096), [me = shared_from_this()](const error_code& error, std::size_t n) {
      me->drained_ += n;
      if (error || me->ended_ || me->drained_ > 16 * me->site_->limits.body_bytes_max) return me->finish();
      me->drain();
    });
  }

  void finish() {
    if (ended_) return;
    auto me = shared_from_this();
    ended_ = true;
    stream_.close();
    site_->connections.erase(me);
  }

  std::shared_ptr<Site> site_;
  beast::tcp_stream stream_;
  beast::flat_buffer input_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<Response> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::string method_;
  unsigned version_ = 11;
  std::uint64_t request_number_ = 0;
  std::size_t drained_ = 0;
  bool keep_alive_ = false;
  bool answered_ = false;
  bool ended_ = false;
};

// ---- the server ---------------------------------------------------------------------------------------------------------

class Server final : public HttpServer {
 public:
  Server(Loop& loop, tcp::acceptor acceptor, Limits limits)
      : site_(std::make_shared<Site>(loop, limits)), acceptor_(std::make_shared<tcp::acceptor>(std::move(acceptor))) {
    error_code ignored;
    port_ = acceptor_->local_endpoint(ignored).port();
    accept(site_, acceptor_);
  }
  ~Server() override { close(); }

  void route(std::string method, std::string path, HttpHandler handler) override {
    bool prefix = !path.empty() && path.back() == '*';
    if (prefix) path.pop_back();
    site_->routes.push_back({std::move(method), std::move(path), prefix, std::move(handler)});
  }
  void websocket(std::string path, std::function<void(WebSocketPtr)> opened) override {
    site_->websockets[std::move(path)] = std::move(opened);
  }
  std::uint16_t port() const override { return port_; }

  void close() override {
    if (site_->closed) return;
    site_->closed = true;
    error_code ignored;
    acceptor_->close(ignored);
    auto connections = site_->connections;
    for (const auto& connection : connections) connection->end();
    site_->routes.clear();
    site_->websockets.clear();
  }

 private:
  static void accept(std::shared_ptr<Site> site, std::shared_ptr<tcp::acceptor> acceptor) {
    tcp::acceptor& accepting = *acceptor;
    accepting.async_accept([site = std::move(site), acceptor = std::move(acceptor)](const error_code& error, tcp::socket socket) {
      if (site->closed) return;
      if (is_shortage(error)) {
        if (!site->short_of_resources) {
          log_error("cannot accept HTTP connections: {}; trying again until it works. Raise the limit with ulimit -n", error.message());
        }
        site->short_of_resources = true;
        auto timer = std::make_shared<Loop::Timer>();
        *timer = site->loop.after(kAcceptRetry, [site, acceptor, timer] {
          if (!site->closed) accept(site, acceptor);
          timer->cancel();
        });
        return;
      }
      if (!error) {
        site->short_of_resources = false;
        if (site->connections.size() >= site->limits.connections_max) {
          error_code ignored;
          constexpr std::string_view kBusy =
              "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";
          socket.non_blocking(true, ignored);
          socket.send(asio::buffer(kBusy.data(), kBusy.size()), 0, ignored);
        } else {
          error_code ignored;
          socket.set_option(tcp::no_delay(true), ignored);
          std::make_shared<Session>(site, std::move(socket))->start();
        }
      }
      accept(site, acceptor);
    });
  }

  std::shared_ptr<Site> site_;
  std::shared_ptr<tcp::acceptor> acceptor_;
  std::uint16_t port_ = 0;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> serve_http(Loop& loop, const std::string& host, std::uint16_t port, bool next_free,
                                               HttpServer::Limits limits, std::string_view remedy) {
  auto& context = loop.impl().context;
  auto acceptor = open_acceptor(context, Address{"http", host, port}, kBacklog, remedy);
  if (!acceptor && acceptor.error().code == ErrorCode::kUnavailable && next_free && port != 0) {
    for (int next = port + 1; !acceptor && next <= std::min(65535, port + kPortsTried); ++next) {
      acceptor = open_acceptor(context, Address{"http", host, static_cast<std::uint16_t>(next)}, kBacklog, remedy);
    }
    if (!acceptor) acceptor = open_acceptor(context, Address{"http", host, 0}, kBacklog, remedy);
    if (acceptor) {
      error_code ignored;
      log_warning("Port {} is already in use. Perhaps you already have a cluster running? Hosting the HTTP server on port {} instead", port,
                  acceptor->local_endpoint(ignored).port());
    }
  }
  if (!acceptor) return fail(std::move(acceptor).error());
  return std::make_unique<Server>(loop, *std::move(acceptor), limits);
}

}  // namespace dask::net
