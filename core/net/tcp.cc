// listen() and connect() over TCP. A listener survives the lack of file descriptors: it waits and says so. connect() tries
// each address of a name once; a refused connection fails at once, because a Dask peer listens before it tells its address.
#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <set>

#include "core/net/acceptor.h"
#include "core/net/address.h"
#include "core/net/comm.h"
#include "core/net/tcp_comm.h"
#include "core/runtime/log.h"

namespace dask::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kAcceptRetry = std::chrono::milliseconds(250);

Result<void> require_tcp(const Address& address) {
  if (address.scheme == "tcp") return {};
  return fail(ErrorCode::kUnsupported,
              fmt::format("address {}: the scheme '{}' is not supported; use tcp://", address.str(), address.scheme));
}

// ---- listen -------------------------------------------------------------------------------------------------------------

class TcpListener final : public Listener, public std::enable_shared_from_this<TcpListener> {
 public:
  TcpListener(Loop& loop, tcp::acceptor acceptor, std::function<void(CommPtr)> accepted, const CommLimits& limits)
      : loop_(loop), acceptor_(std::move(acceptor)), accepted_(std::move(accepted)), limits_(limits) {
    error_code ignored;
    auto endpoint = acceptor_.local_endpoint(ignored);
    port_ = endpoint.port();
    address_ = endpoint.address().is_unspecified() ? Address{"tcp", outward_ip(), port_}.str() : endpoint_address(endpoint);
  }

  std::string address() const override { return address_; }
  std::uint16_t port() const override { return port_; }

  void close() override {
    error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    auto handshaking = std::move(handshaking_);
    handshaking_.clear();
    for (auto& comm : handshaking) comm->abort();
    accepted_ = nullptr;
  }

  void accept() {
    acceptor_.async_accept(
        [me = shared_from_this()](const error_code& error, tcp::socket socket) { me->accept_done(error, std::move(socket)); });
  }

 private:
  void accept_done(const error_code& error, tcp::socket socket) {
    if (!acceptor_.is_open()) return;
    if (is_shortage(error)) {
      if (!short_of_resources_) {
        log_error("cannot accept connections on {}: {}; trying again until it works. Raise the limit with ulimit -n", address_,
                  error.message());
      }
      short_of_resources_ = true;
      retry_ = loop_.after(kAcceptRetry, [weak = weak_from_this()] {
        if (auto me = weak.lock()) me->accept();
      });
      return;
    }
    if (!error) {
      if (short_of_resources_) log_info("accepting connections on {} again", address_);
      short_of_resources_ = false;
      welcome(std::move(socket));
    }
    accept();  // an error here was the peer's: it gave up before we looked
  }

  void welcome(tcp::socket socket) {
    auto comm = std::make_shared<TcpComm>(loop_, std::move(socket), limits_);
    handshaking_.insert(comm);
    std::weak_ptr<TcpComm> weak_comm = comm;
    comm->shake_hands([me = shared_from_this(), weak_comm](Result<void> done) {
      auto shaken = weak_comm.lock();
      me->handshaking_.erase(shaken);
      if (!done) {
        log_warning("connection refused: {}", done.error().message);
      } else if (me->accepted_) {
        auto accepted = me->accepted_;  // it may close the listener
        accepted(shaken);
      } else {
        shaken->abort();
      }
    });
  }

  Loop& loop_;
  tcp::acceptor acceptor_;
  std::function<void(CommPtr)> accepted_;
  CommLimits limits_;
  std::string address_;
  std::uint16_t port_ = 0;
  std::set<std::shared_ptr<TcpComm>> handshaking_;
  Loop::Timer retry_;
  bool short_of_resources_ = false;
};

// What the caller owns: pending accepts keep the listener itself alive.
class ListenerHandle final : public Listener {
 public:
  explicit ListenerHandle(std::shared_ptr<TcpListener> listener) : listener_(std::move(listener)) {}
  ~ListenerHandle() override { listener_->close(); }
  std::string address() const override { return listener_->address(); }
  std::uint16_t port() const override { return listener_->port(); }
  void close() override { listener_->close(); }

 private:
  std::shared_ptr<TcpListener> listener_;
};

// ---- connect ------------------------------------------------------------------------------------------------------------

// One connect() under way: resolving, trying endpoints, shaking hands.
class Connecting : public std::enable_shared_from_this<Connecting> {
 public:
  Connecting(Loop& loop, const Address& address, std::function<void(Result<CommPtr>)> done, const CommLimits& limits)
      : loop_(loop),
        address_(address),
        done_(std::move(done)),
        limits_(limits),
        resolver_(loop.impl().context),
        socket_(loop.impl().context) {}

  void start() {
    timer_ = loop_.after(limits_.connect_timeout, [weak = weak_from_this()] {
      auto me = weak.lock();
      if (!me) return;
      me->finish(
          fail(ErrorCode::kTimeout, fmt::format("connecting to {} took longer than {:.3g} s (distributed.comm.timeouts.connect)",
                                                me->address_.str(), std::chrono::duration<double>(me->limits_.connect_timeout).count())));
    });
    error_code error;
    std::string host = address_.host.empty() ? "127.0.0.1" : address_.host;
    auto numeric = asio::ip::make_address(host, error);
    if (!error) {
      endpoints_ = {tcp::endpoint(numeric, address_.port)};
      return try_next({});
    }
    resolver_.async_resolve(
        host, std::to_string(address_.port), tcp::resolver::numeric_service,
        [me = shared_from_this()](const error_code& failed, const tcp::resolver::results_type& results) {
          if (failed)
            return me->finish(me->unreachable(fmt::format("the name '{}' has no address ({})", me->address_.host, failed.message())));
          for (const auto& entry : results) me->endpoints_.push_back(entry.endpoint());
          me->try_next({});
        });
  }

  void finish(Result<CommPtr> result) {
    if (!done_) return;
    timer_.cancel();
    resolver_.cancel();
    error_code ignored;
    socket_.close(ignored);
    if (comm_ && !result) comm_->abort();
    auto done = std::move(done_);
    done_ = nullptr;
    done(std::move(result));
  }

 private:
  tl::unexpected<Error> unreachable(std::string_view why) const {
    return fail(ErrorCode::kUnavailable, fmt::format("cannot connect to {}: {}", address_.str(), why));
  }

  void try_next(error_code last) {
    if (!done_) return;
    if (next_ == endpoints_.size()) return finish(unreachable(last.message()));
    tcp::endpoint endpoint = endpoints_[next_++];
    error_code ignored;
    socket_.close(ignored);
    socket_.async_connect(endpoint, [me = shared_from_this()](const error_code& error) {
      if (!me->done_) return;
      if (error) return me->try_next(error);
      error_code failed;
      if (me->socket_.local_endpoint(failed) == me->socket_.remote_endpoint(failed)) {
        // A port nobody listens on can be given to us as our own: the kernel then connects us to ourselves.
        return me->try_next(asio::error::connection_refused);
      }
      me->comm_ = std::make_shared<TcpComm>(me->loop_, std::move(me->socket_), me->limits_);
      me->comm_->shake_hands([me](Result<void> shaken) {
        auto comm = std::move(me->comm_);
        if (!shaken) return me->finish(me->unreachable(shaken.error().message));
        me->finish(CommPtr(comm));
      });
    });
  }

  Loop& loop_;
  Address address_;
  std::function<void(Result<CommPtr>)> done_;
  CommLimits limits_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  std::vector<tcp::endpoint> endpoints_;
  std::size_t next_ = 0;
  std::shared_ptr<TcpComm> comm_;
  Loop::Timer timer_;
};

}  // namespace

Result<std::unique_ptr<Listener>> listen(Loop& loop, const Address& address, std::function<void(CommPtr)> accepted, CommLimits limits) {
  DASK_TRY_VOID(require_tcp(address));
  DASK_TRY(tcp::acceptor acceptor,
           open_acceptor(loop.impl().context, address, limits.listen_backlog, "choose another port, or 0 for any free one"));
  auto listener = std::make_shared<TcpListener>(loop, std::move(acceptor), std::move(accepted), limits);
  listener->accept();
  return std::make_unique<ListenerHandle>(std::move(listener));
}

void connect(Loop& loop, const Address& address, std::function<void(Result<CommPtr>)> done, CommLimits limits) {
  auto connecting = std::make_shared<Connecting>(loop, address, std::move(done), limits);
  asio::post(loop.impl().context, [connecting, address] {
    if (auto supported = require_tcp(address); !supported) return connecting->finish(fail(supported.error()));
    if (address.port == 0)
      return connecting->finish(fail(ErrorCode::kInvalidArgument, fmt::format("cannot connect to {}: the port is missing", address.str())));
    connecting->start();
  });
}

}  // namespace dask::net
