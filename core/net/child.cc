// Watching one child: its pidfd becomes readable when it ends, its output is a pipe read line by line.
#include "core/net/child.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <string>

#include "core/net/loop_impl.h"

namespace dask::net {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;
using boost::system::error_code;

namespace {
constexpr std::size_t kLineBytesMax = 16 * 1024;      // a longer line comes in pieces
constexpr std::size_t kLastOutputBytesMax = 1 << 20;  // read after the end; more is dropped
}  // namespace

struct Child::Impl : std::enable_shared_from_this<Child::Impl> {
  Impl(Loop& loop, ChildProcess the_process, Handlers the_handlers)
      : process(std::move(the_process)), handlers(std::move(the_handlers)), ended(loop.impl().context), output(loop.impl().context) {}

  void watch() {
    error_code error;
    ended.assign(::fcntl(process.pidfd(), F_DUPFD_CLOEXEC, 0), error);
    FileDescriptor pipe = process.take_output();
    if (pipe.valid()) {
      output.assign(pipe.release(), error);
      output.non_blocking(true, error);
      read_output();
    }
    ended.async_wait(stream_descriptor::wait_read, [me = shared_from_this()](const error_code& failed) {
      if (!failed) me->finish();
    });
  }

  void read_output() {
    output.async_read_some(asio::buffer(buffer), [me = shared_from_this()](const error_code& error, std::size_t n) {
      if (error) return;
      me->take_output({me->buffer.data(), n});
      if (me->output.is_open()) me->read_output();
    });
  }

  void take_output(std::string_view text) {
    while (!text.empty()) {
      auto newline = text.find('\n');
      partial.append(text.substr(0, newline));
      bool whole = newline != std::string_view::npos;
      text.remove_prefix(whole ? newline + 1 : text.size());
      if (whole || partial.size() >= kLineBytesMax) give_line();
    }
  }

  void give_line() {
    std::string line = std::move(partial);
    partial.clear();
    auto handler = handlers.line;  // it may destroy the Child
    if (handler) handler(line);
  }

  void finish() {
    auto status = process.poll();
    if (!status) return;  // cannot be: the pidfd says that it ended
    for (std::size_t total = 0; output.is_open() && total < kLastOutputBytesMax;) {
      ssize_t n = ::read(output.native_handle(), buffer.data(), buffer.size());
      if (n <= 0) break;
      take_output({buffer.data(), static_cast<std::size_t>(n)});
      total += static_cast<std::size_t>(n);
    }
    if (!partial.empty()) give_line();
    auto exited = std::move(handlers.exited);
    release();
    if (exited) exited(*status);
  }

  void release() {
    error_code ignored;
    ended.close(ignored);
    output.close(ignored);
    handlers = {};
  }

  ChildProcess process;
  Handlers handlers;
  stream_descriptor ended;
  stream_descriptor output;
  std::array<char, 8192> buffer;
  std::string partial;
};

Result<std::unique_ptr<Child>> Child::start(Loop& loop, const ProcessOptions& options, Handlers handlers) {
  DASK_TRY(ChildProcess process, ChildProcess::start(options));
  auto child = std::make_unique<Child>();
  child->impl_ = std::make_shared<Impl>(loop, std::move(process), std::move(handlers));
  child->impl_->watch();
  return child;
}

Child::~Child() {
  if (!impl_) return;
  impl_->release();
  impl_->process = ChildProcess();
}

int Child::pid() const { return impl_->process.pid(); }
void Child::kill(int signal) { impl_->process.kill(signal); }
bool Child::running() const { return !impl_->process.poll().has_value(); }

}  // namespace dask::net
