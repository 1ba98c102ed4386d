// Reading, writing and ending of one TCP connection. Source of options and handshake: distributed/comm/tcp.py, comm/core.py.
#include "core/net/tcp_comm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>

#include "core/runtime/log.h"
#include "core/wire/message.h"

namespace dask::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::size_t kReadBytesPerTurn = 1 << 20;
constexpr int kReadsPerTurn = 64;
constexpr auto kCloseTimeout = std::chrono::seconds(30);  // to send what is queued
constexpr auto kLingerTimeout = std::chrono::seconds(2);  // for the peer to close its side
constexpr int kKeepAliveIdleS = 10;
constexpr int kKeepAliveIntervalS = 2;
constexpr int kKeepAliveProbes = 10;
constexpr unsigned kUserTimeoutMs = 30'000;

const wire::Frames& our_handshake() {
  static const wire::Frames frames = [] {
    Value handshake = Value::map();
    handshake.set("compression", nullptr);
    handshake.set("python", Value::Array{3, 11, 0});
    handshake.set("pickle-protocol", 5);
    return wire::encode_message(handshake);
  }();
  return frames;
}

}  // namespace

void set_tcp_options(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);  // Boost.Asio does not
  auto set = [fd](int level, int name, auto value) { ::setsockopt(fd, level, name, &value, sizeof value); };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdleS);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveIntervalS);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
}

std::string endpoint_address(const tcp::endpoint& endpoint) {
  auto address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  return Address{"tcp", address.to_string(), endpoint.port()}.str();
}

TcpComm::TcpComm(Loop& loop, tcp::socket socket, const CommLimits& limits) : loop_(loop), socket_(std::move(socket)), limits_(limits) {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  set_tcp_options(socket_.native_handle());
  peer_ = endpoint_address(socket_.remote_endpoint(ignored));
  local_ = endpoint_address(socket_.local_endpoint(ignored));
}

// ---- handshake ----------------------------------------------------------------------------------------------------------

void TcpComm::shake_hands(std::function<void(Result<void>)> done) {
  handshake_done_ = std::move(done);
  send(our_handshake());
  timer_ = loop_.after(limits_.handshake_timeout, [weak = std::weak_ptr<TcpComm>(self()), limit = limits_.handshake_timeout] {
    auto comm = weak.lock();
    if (!comm || comm->phase_ != Phase::kHandshake) return;
    comm->finish({ErrorCode::kTimeout, fmt::format("{} did not answer the handshake within {:.3g} s: is it a Dask program?", comm->peer_,
                                                   std::chrono::duration<double>(limit).count())});
  });
  arm_read();
}

void TcpComm::take_handshake(const wire::Frames& frames) {
  auto message = wire::decode_message(frames);
  auto refuse = [this](std::string_view why) {
    finish({ErrorCode::kMalformed, fmt::format("handshake of {}: {}; the Dask versions of the two sides may not be in sync", peer_, why)});
  };
  if (!message) return refuse(message.error().message);
  if (!message->is_map()) return refuse(fmt::format("a map was expected, not {:.200}", message->repr()));
  for (const char* key : {"compression", "pickle-protocol"}) {
    if (!message->find(key)) return refuse(fmt::format("it has no '{}'", key));
  }
  peer_handshake_ = *std::move(message);
  phase_ = Phase::kOpen;
  timer_.cancel();
  auto done = std::move(handshake_done_);
  handshake_done_ = nullptr;
  if (done) done({});
}

// ---- input --------------------------------------------------------------------------------------------------------------

void TcpComm::arm_read() {
  if (reading_ || input_ended_ || phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kOpen && (paused_ || !message_handler_)) return;
  if (give_input_away()) return;
  reading_ = true;
  auto space = reader_.space();
  socket_.async_read_some(asio::buffer(space.data(), space.size()),
                          [me = self()](const error_code& error, std::size_t n) { me->read_done(error, n); });
}

bool TcpComm::may_give_input_away() const {
  if (!take_frame_ || frame_stays_ || phase_ != Phase::kOpen) return false;
  const auto frame = reader_.big_frame();
  return frame && frame->size - frame->received.size() >= kTakenFrameBytesMin;
}

bool TcpComm::give_input_away() {
  if (!reader_.big_frame()) frame_stays_ = false;
  if (!may_give_input_away()) return false;
  const auto frame = reader_.big_frame();
  const auto take = take_frame_;  // it may set another one
  reading_ = given_away_ = take(socket_.native_handle(), frame->received, frame->size,
                                [me = self()](Result<Bytes> whole) { me->frame_arrived(std::move(whole)); });
  frame_stays_ = !given_away_;
  return given_away_;
}

void TcpComm::frame_arrived(Result<Bytes> frame) {
  reading_ = given_away_ = false;
  if (phase_ == Phase::kClosed) return;
  if (frame) frame = reader_.big_frame_arrived(*std::move(frame)).map([] { return Bytes(); });
  if (!frame) {
    input_ended_ = true;
    if (!end_) end_ = Error{ErrorCode::kUnavailable, fmt::format("{} in the middle of a message: {}", peer_, frame.error().message)};
    if (phase_ == Phase::kClosing && output_.empty()) return shut();
  }
  deliver();
}

void TcpComm::read_done(const error_code& error, std::size_t n) {
  reading_ = false;
  if (phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kClosing) {  // what still arrives is dropped; the peer's end completes ours
    if (!error) return arm_read();
    input_ended_ = true;
    if (output_.empty()) shut();
    return;
  }
  if (error) {
    end_of_input(error);
  } else {
    take_input(n);
  }
  deliver();
}

void TcpComm::take_input(std::size_t n) {
  std::size_t total = 0;
  for (int reads = 1;; ++reads) {
    std::size_t space_size = reader_.space().size();
    if (auto taken = reader_.received(n); !taken) {
      end_ = Error{ErrorCode::kMalformed, fmt::format("{} sent what is no Dask message: {}", peer_, taken.error().message)};
      if (phase_ == Phase::kOpen) log_warning("{}; the connection is closed", end_->message);
      input_ended_ = true;
      return;
    }
    total += n;
    if (may_give_input_away()) return;
    if (n < space_size || total >= kReadBytesPerTurn || reads >= kReadsPerTurn) return;
    auto space = reader_.space();
    ssize_t got = ::recv(socket_.native_handle(), space.data(), space.size(), MSG_DONTWAIT);
    if (got <= 0) return;  // nothing more now; an end or an error shows again at the next read
    n = static_cast<std::size_t>(got);
  }
}

void TcpComm::deliver() {
  if (delivering_) return;
  auto me = self();
  delivering_ = true;
  wire::Frames frames;
  if (phase_ == Phase::kHandshake && reader_.next(frames)) take_handshake(frames);
  while (phase_ == Phase::kOpen && !paused_ && message_handler_ && reader_.next(frames)) {
    // Out of its place while it runs, so that it may set another one.
    auto handler = std::move(message_handler_);
    message_handler_ = nullptr;
    handler_replaced_ = false;
    handler(std::move(frames));
    if (!handler_replaced_) message_handler_ = std::move(handler);
    frames.clear();
  }
  delivering_ = false;
  if (closed()) {  // by the handler
    message_handler_ = nullptr;
    closed_handler_ = nullptr;
  }
  bool delivered_all = phase_ == Phase::kHandshake || (phase_ == Phase::kOpen && !paused_ && (message_handler_ || closed_handler_));
  if (end_ && delivered_all) {
    finish(*end_);
  } else {
    arm_read();
  }
}

void TcpComm::deliver_later() {
  asio::post(loop_.impl().context, [me = self()] { me->deliver(); });
}

void TcpComm::end_of_input(const error_code& error) {
  input_ended_ = true;
  if (end_) return;
  std::string how = error == asio::error::eof ? "closed the connection" : fmt::format("is lost ({})", error.message());
  std::string where = reader_.at_boundary() ? "" : " in the middle of a message";
  if (phase_ == Phase::kHandshake) where = " during the handshake";
  end_ = Error{ErrorCode::kUnavailable, fmt::format("{} {}{}", peer_, how, where)};
}

void TcpComm::on_message(std::function<void(wire::Frames)> handler) {
  if (closed()) return;
  message_handler_ = std::move(handler);
  handler_replaced_ = true;
  if (!delivering_) deliver_later();
}

void TcpComm::on_closed(std::function<void(Error)> handler) {
  if (closed()) return;
  closed_handler_ = std::move(handler);
  if (end_ && !delivering_) deliver_later();
}

void TcpComm::resume_reading() {
  if (!paused_) return;
  paused_ = false;
  if (!delivering_) deliver_later();
}

// ---- output -------------------------------------------------------------------------------------------------------------

void TcpComm::send(wire::Frames frames) {
  if (closed() || end_ || output_broken_) return;
  output_.add_copy(wire::frames_prelude(frames));
  for (const Bytes& frame : frames) output_.add(frame);
  if (output_.bytes() > limits_.outgoing_bytes_max) {
    end_ = Error{ErrorCode::kLimit, fmt::format("{} does not read: {} bytes wait for it, more than the limit of {} (outgoing_bytes_max)",
                                                peer_, output_.bytes(), limits_.outgoing_bytes_max)};
    log_warning("{}; the connection is closed", end_->message);
    output_.clear();
    input_ended_ = true;
    deliver_later();
    return;
  }
  if (!writing_) schedule_flush();
}

void TcpComm::schedule_flush() {
  if (flush_scheduled_) return;
  flush_scheduled_ = true;
  loop_.impl().to_flush.push_back(self());
}

void TcpComm::flush() {
  flush_scheduled_ = false;
  if (phase_ == Phase::kClosed || writing_) return;
  switch (output_.write_to(socket_.native_handle(), true)) {
    case OutputQueue::Outcome::kEmpty:
      if (phase_ == Phase::kClosing) half_close();
      return;
    case OutputQueue::Outcome::kBlocked:
      writing_ = true;
      socket_.async_wait(tcp::socket::wait_write, [me = self()](const error_code& error) {
        me->writing_ = false;
        if (!error) me->flush();
      });
      return;
    case OutputQueue::Outcome::kHandOver: return hand_over_output();
    case OutputQueue::Outcome::kFailed: output_failed(errno); return;
    case OutputQueue::Outcome::kGone: return output_gone();
  }
}

void TcpComm::output_gone() {
  output_.clear();
  if (phase_ == Phase::kClosing) return shut();
  output_broken_ = true;
  asio::post(loop_.impl().context, [me = self()] {
    me->finish({ErrorCode::kUnavailable, fmt::format("what was being sent to {} is gone; the connection is closed", me->peer_)});
  });
}

void TcpComm::hand_over_output() {
  writing_ = handed_over_ = output_.hand_over(socket_.native_handle(), [me = self()](int error) {
    me->writing_ = me->handed_over_ = false;
    if (me->phase_ == Phase::kClosed) return;
    if (error == 0) {
      me->output_.handed_over();
      return me->flush();
    }
    // ESTALE and EFAULT: the bytes are gone, and the peer waits for the rest.
    if (error == EPIPE || error == ECONNRESET || error == ETIMEDOUT) return me->output_failed(error);
    me->output_gone();
  });
  if (!handed_over_) flush();
}

// The reading side goes on: what the peer sent before it went is delivered, then its end shows there.
void TcpComm::output_failed(int error) {
  output_.clear();
  if (phase_ == Phase::kClosing) return shut();
  output_broken_ = true;
  timer_ = loop_.after(kLingerTimeout, [weak = std::weak_ptr<TcpComm>(self()), error] {
    auto comm = weak.lock();
    if (comm && !comm->paused_) comm->finish({ErrorCode::kUnavailable, fmt::format("{} is lost ({})", comm->peer_, std::strerror(error))});
  });
}

// ---- the end ------------------------------------------------------------------------------------------------------------

void TcpComm::close() {
  if (closed()) return;
  bool lost = end_.has_value() || output_broken_;
  phase_ = Phase::kClosing;
  handshake_done_ = nullptr;
  if (!delivering_) {
    message_handler_ = nullptr;
    closed_handler_ = nullptr;
  }
  if (lost) return shut();
  timer_ = loop_.after(kCloseTimeout, [weak = std::weak_ptr<TcpComm>(self())] {
    if (auto comm = weak.lock()) comm->shut();
  });
  if (!writing_) schedule_flush();
  arm_read();
}

// Closing a socket with unread input resets the connection, which can cost the peer our last message: say that we are
// done, then wait for its end.
void TcpComm::half_close() {
  if (input_ended_) return shut();
  if (half_closed_) return;
  half_closed_ = true;
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  timer_ = loop_.after(kLingerTimeout, [weak = std::weak_ptr<TcpComm>(self())] {
    if (auto comm = weak.lock()) comm->shut();
  });
}

void TcpComm::abort() {
  if (phase_ == Phase::kClosed) return;
  shut();
  handshake_done_ = nullptr;
  if (!delivering_) {
    message_handler_ = nullptr;
    closed_handler_ = nullptr;
  }
}

void TcpComm::shut() {
  phase_ = Phase::kClosed;
  timer_.cancel();
  output_.clear();
  error_code ignored;
  if (handed_over_ || given_away_) socket_.shutdown(tcp::socket::shutdown_both, ignored);  // closing ends our descriptor alone
  socket_.close(ignored);
}

void TcpComm::finish(Error error) {
  if (phase_ == Phase::kClosed) return;
  auto me = self();
  shut();
  auto closed_handler = std::move(closed_handler_);
  auto done = std::move(handshake_done_);
  closed_handler_ = nullptr;
  handshake_done_ = nullptr;
  message_handler_ = nullptr;
  if (done) {
    done(fail(std::move(error)));
  } else if (closed_handler) {
    closed_handler(std::move(error));
  }
}

}  // namespace dask::net
