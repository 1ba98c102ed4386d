#include "core/net/packet_pipe.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <string>

#include "core/net/loop_impl.h"

namespace dask::net {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

struct PacketPipe::Impl : std::enable_shared_from_this<PacketPipe::Impl> {
  Impl(Loop& loop, FileDescriptor fd) : socket(loop.impl().context, fd.release()) {}

  enum class Taken { kYes, kLater, kNever };
  Taken try_send(std::string_view packet, int descriptor) {
    iovec vector{const_cast<char*>(packet.data()), packet.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> ancillary{};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (descriptor >= 0) {
      message.msg_control = ancillary.data();
      message.msg_controllen = ancillary.size();
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof descriptor);
      std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    }
    for (;;) {
      if (::sendmsg(socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Taken::kYes;
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Taken::kLater : Taken::kNever;
    }
  }

  void send(std::string_view packet, int descriptor) {
    if (closed) return;
    if (queue.empty() && try_send(packet, descriptor) != Taken::kLater) return;  // an end shows on the reading side
    queue.emplace_back(packet, FileDescriptor(descriptor < 0 ? -1 : ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)));
    send_later();
  }

  void send_later() {
    if (writing) return;
    writing = true;
    socket.async_wait(stream_descriptor::wait_write, [me = shared_from_this()](const error_code& error) {
      me->writing = false;
      if (error || me->closed) return;
      while (!me->queue.empty()) {
        if (me->try_send(me->queue.front().first, me->queue.front().second.get()) == Taken::kLater) return me->send_later();
        me->queue.pop_front();
      }
    });
  }

  void read_later() {
    if (reading || closed || !packet_handler) return;
    reading = true;
    socket.async_wait(stream_descriptor::wait_read, [me = shared_from_this()](const error_code& error) {
      me->reading = false;
      if (!error) me->read();
    });
  }

  void read() {
    std::array<char, kPacketBytesMax> packet;
    while (!closed) {
      const ssize_t n = ::recv(socket.native_handle(), packet.data(), packet.size(), MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return read_later();
      if (n <= 0) {
        auto handler = std::move(closed_handler);
        close();
        if (handler) handler();
        return;
      }
      const auto handler = packet_handler;
      handler({packet.data(), static_cast<std::size_t>(n)});
    }
  }

  void close() {
    closed = true;
    queue.clear();
    packet_handler = nullptr;
    closed_handler = nullptr;
    error_code ignored;
    socket.close(ignored);
  }

  stream_descriptor socket;
  std::function<void(std::string_view)> packet_handler;
  std::function<void()> closed_handler;
  std::deque<std::pair<std::string, FileDescriptor>> queue;
  bool reading = false;
  bool writing = false;
  bool closed = false;
};

PacketPipe::PacketPipe(Loop& loop, FileDescriptor socket) : impl_(std::make_shared<Impl>(loop, std::move(socket))) {}
PacketPipe::~PacketPipe() { impl_->close(); }
void PacketPipe::on_packet(std::function<void(std::string_view)> handler) {
  impl_->packet_handler = std::move(handler);
  impl_->read_later();
}
void PacketPipe::on_closed(std::function<void()> handler) { impl_->closed_handler = std::move(handler); }
void PacketPipe::send(std::string_view packet, int descriptor) { impl_->send(packet, descriptor); }

}  // namespace dask::net
