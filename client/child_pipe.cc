#include "client/child_pipe.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace dask::client {
namespace {

constexpr std::size_t kPartsPerWrite = 512;

tl::unexpected<Error> gone(const char* what) { return fail(ErrorCode::kUnavailable, std::string(what) + ": " + std::strerror(errno)); }

}  // namespace

Result<void> ChildPipe::send(const wire::Frames& frames) {
  const std::string prelude = wire::frames_prelude(frames);
  std::vector<iovec> parts;
  parts.push_back({const_cast<char*>(prelude.data()), prelude.size()});
  for (const Bytes& frame : frames)
    if (!frame.empty()) parts.push_back({const_cast<char*>(frame.data()), frame.size()});
  std::size_t first = 0;
  while (first < parts.size()) {
    msghdr message{};
    message.msg_iov = parts.data() + first;
    message.msg_iovlen = std::min(parts.size() - first, kPartsPerWrite);
    ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return gone("cannot write");
    for (; first < parts.size() && static_cast<std::size_t>(sent) >= parts[first].iov_len; ++first)
      sent -= static_cast<ssize_t>(parts[first].iov_len);
    if (first < parts.size()) {
      parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + sent;
      parts[first].iov_len -= static_cast<std::size_t>(sent);
    }
  }
  return {};
}

Result<wire::Frames> ChildPipe::receive() {
  wire::Frames frames;
  while (!reader_.next(frames)) {
    const std::span<char> space = reader_.space();
    const ssize_t got = recv(socket_.get(), space.data(), space.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return gone("cannot read");
    if (got == 0) return fail(ErrorCode::kUnavailable, "the other side has ended");
    DASK_TRY_VOID(reader_.received(static_cast<std::size_t>(got)));
  }
  return frames;
}

}  // namespace dask::client
