// FramePipe's reading and writing. Small messages are cut from one buffer; a message that is not whole yet gets memory of
// its announced size, of which the kernel gives only what really arrives.
#include "core/net/pipe.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <bit>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <cstring>

#include "core/net/loop_impl.h"
#include "core/net/output_queue.h"
#include "core/wire/payload_memory.h"

namespace dask::net {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using boost::system::error_code;

static_assert(std::endian::native == std::endian::little, "lengths are written in the machine's own order");

namespace {
constexpr std::size_t kInputBufferBytes = 64 * 1024;
constexpr std::size_t kReadBytesPerTurn = 16 << 20;
constexpr std::size_t kLengthBytes = 8;
constexpr int kSocketBufferBytes = 4 << 20;  // the kernel caps it at its own limit
}  // namespace

struct FramePipe::Impl : Flushable, std::enable_shared_from_this<FramePipe::Impl> {
  Impl(Loop& the_loop, int fd, Limits the_limits) : loop(the_loop), limits(the_limits), socket(the_loop.impl().context) {
    error_code error;
    socket.assign(stream_protocol(), fd, error);
    if (!error) socket.non_blocking(true, error);
    if (error) end = Error{ErrorCode::kUnavailable, fmt::format("descriptor {} is no pipe: {}", fd, error.message())};
    for (int option : {SO_SNDBUF, SO_RCVBUF}) ::setsockopt(fd, SOL_SOCKET, option, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  }

  // ---- input ----

  // Where the next bytes go: the rest of the big message, or the buffer.
  std::pair<char*, std::size_t> space() {
    if (body) return {body.get() + body_filled, body_size - body_filled};
    return {buffer.get() + buffered, kInputBufferBytes - buffered};
  }

  void arm_read() {
    if (reading || is_closed || !message_handler) return;
    reading = true;
    auto [data, size] = space();
    socket.async_read_some(asio::buffer(data, size),
                           [me = shared_from_this()](const error_code& error, std::size_t n) { me->read_done(error, n); });
  }

  void read_done(const error_code& error, std::size_t n) {
    reading = false;
    if (is_closed) return;
    if (error) {
      bool torn = body || buffered > 0;
      return finish({ErrorCode::kUnavailable,
                     fmt::format("the other side of the pipe {}{}", error == asio::error::eof ? "is closed" : "is lost: " + error.message(),
                                 torn ? " in the middle of a message" : "")});
    }
    std::size_t total = 0;
    for (;;) {
      std::size_t room = space().second;
      total += n;
      if (!take(n)) return;
      if (n < room || total >= kReadBytesPerTurn || !message_handler) break;
      auto [data, size] = space();
      ssize_t got = ::recv(socket.native_handle(), data, size, MSG_DONTWAIT);
      if (got <= 0) break;  // nothing more now; an end shows again at the next read
      n = static_cast<std::size_t>(got);
    }
    arm_read();
  }

  // Accounts for `n` bytes in space() and delivers what is whole. False when the pipe is closed.
  bool take(std::size_t n) {
    if (body) {
      body_filled += n;
      if (body_filled < body_size) return true;
      const char* data = body.get();
      deliver(Bytes(std::move(body), data, body_size));
      body = nullptr;
      return !is_closed;
    }
    buffered += n;
    std::size_t at = 0;
    while (buffered - at >= kLengthBytes) {
      std::uint64_t size;
      std::memcpy(&size, buffer.get() + at, kLengthBytes);
      if (size > limits.message_bytes_max) {
        finish({ErrorCode::kMalformed, fmt::format("the other side of the pipe announces a message of {} bytes; at most {} are allowed",
                                                   size, limits.message_bytes_max)});
        return false;
      }
      std::size_t there = buffered - at - kLengthBytes;
      const char* payload = buffer.get() + at + kLengthBytes;
      if (there >= size) {
        at += kLengthBytes + size;
        deliver(Bytes::copy({payload, size}));
        if (is_closed) return false;
        continue;
      }
      body = wire::payload_memory(size);
      if (!body) {
        finish({ErrorCode::kLimit, fmt::format("no memory for a message of {} bytes from the other side of the pipe", size)});
        return false;
      }
      std::memcpy(body.get(), payload, there);
      body_size = size;
      body_filled = there;
      buffered = 0;
      return true;
    }
    std::memmove(buffer.get(), buffer.get() + at, buffered - at);
    buffered -= at;
    return true;
  }

  void deliver(Bytes message) {
    auto handler = std::move(message_handler);  // it may set another one, or close
    message_handler = nullptr;
    handler_replaced = false;
    if (handler) handler(std::move(message));
    if (!handler_replaced && !is_closed) message_handler = std::move(handler);
  }

  // ---- output ----

  void send(const std::vector<Bytes>& parts) {
    if (is_closed || end) return;
    std::uint64_t size = 0;
    for (const Bytes& part : parts) size += part.size();
    if (output.bytes() + size > limits.outgoing_bytes_max) {
      return finish_later(
          {ErrorCode::kLimit, fmt::format("the other side of the pipe does not read: {} bytes wait, more than the limit of {}",
                                          output.bytes() + size, limits.outgoing_bytes_max)});
    }
    output.add_copy({reinterpret_cast<const char*>(&size), kLengthBytes});
    for (const Bytes& part : parts) output.add(part);
    if (writing || flush_scheduled) return;
    flush_scheduled = true;
    loop.impl().to_flush.push_back(shared_from_this());
  }

  void flush() override {
    flush_scheduled = false;
    if (is_closed || writing) return;
    switch (output.write_to(socket.native_handle())) {
      case OutputQueue::Outcome::kEmpty: return;
      case OutputQueue::Outcome::kBlocked:
        writing = true;
        socket.async_wait(stream_protocol::socket::wait_write, [me = shared_from_this()](const error_code& error) {
          me->writing = false;
          if (!error) me->flush();
        });
        return;
      case OutputQueue::Outcome::kHandOver:  // was not asked for
      case OutputQueue::Outcome::kGone:
        output.clear();
        return finish_later({ErrorCode::kUnavailable, "what was being sent through the pipe is gone"});
      case OutputQueue::Outcome::kFailed:
        output.clear();  // the end shows on the reading side, after what was sent before it
        if (!reading) finish_later({ErrorCode::kUnavailable, fmt::format("the other side of the pipe is lost: {}", std::strerror(errno))});
        return;
    }
  }

  // ---- the end ----

  void close() {
    is_closed = true;
    output.clear();
    error_code ignored;
    socket.close(ignored);
    message_handler = nullptr;
    handler_replaced = true;
  }

  void finish(Error error) {
    if (is_closed) return;
    auto me = shared_from_this();
    close();
    auto handler = std::move(closed_handler);
    closed_handler = nullptr;
    if (handler) handler(std::move(error));
  }

  void finish_later(Error error) {
    if (end) return;
    end = std::move(error);
    asio::post(loop.impl().context, [me = shared_from_this()] { me->finish(*me->end); });
  }

  Loop& loop;
  Limits limits;
  stream_protocol::socket socket;
  std::function<void(Bytes)> message_handler;
  std::function<void(Error)> closed_handler;
  OutputQueue output;
  std::unique_ptr<char[]> buffer = std::make_unique_for_overwrite<char[]>(kInputBufferBytes);
  std::size_t buffered = 0;
  std::shared_ptr<char> body;
  std::size_t body_size = 0;
  std::size_t body_filled = 0;
  std::optional<Error> end;
  bool reading = false;
  bool writing = false;
  bool flush_scheduled = false;
  bool is_closed = false;
  bool handler_replaced = false;
};

FramePipe::FramePipe(Loop& loop, FileDescriptor socket) : FramePipe(loop, std::move(socket), Limits{}) {}
FramePipe::FramePipe(Loop& loop, FileDescriptor socket, Limits limits) : impl_(std::make_shared<Impl>(loop, socket.release(), limits)) {}

FramePipe::~FramePipe() {
  impl_->closed_handler = nullptr;
  impl_->close();
}

void FramePipe::on_message(std::function<void(Bytes)> handler) {
  if (impl_->is_closed) return;
  impl_->message_handler = std::move(handler);
  impl_->handler_replaced = true;
  asio::post(impl_->loop.impl().context, [impl = impl_] { impl->arm_read(); });
}

void FramePipe::on_closed(std::function<void(Error)> handler) {
  impl_->closed_handler = std::move(handler);
  if (impl_->end) asio::post(impl_->loop.impl().context, [impl = impl_] { impl->finish(*impl->end); });
}

void FramePipe::send(std::vector<Bytes> parts) { impl_->send(parts); }
std::uint64_t FramePipe::outgoing_bytes() const { return impl_->output.bytes(); }

void FramePipe::close() {
  impl_->closed_handler = nullptr;
  impl_->close();
}

bool FramePipe::closed() const { return impl_->is_closed; }

}  // namespace dask::net
