// One thread polls the control socket and all sockets of transfers; each gets its turn. A fork of the interpreter keeps none of them open.
// Thread safety: blocks are behind a mutex; everything else belongs to the courier's thread.
#include "worker/courier/post.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "worker/courier/messages.h"

namespace dask::worker {
namespace {

constexpr std::uint64_t kTurnBytesMax = 8 << 20;  // of one transfer, before another one has its turn
constexpr std::uint64_t kHugePageBytes = 2 << 20;

struct Block {
  char* start = nullptr;
  std::uint64_t mapped = 0;
  std::uint64_t users = 0;
};

struct Transfer {
  CourierRequest request;
  char* next = nullptr;
  std::uint64_t left = 0;
  std::uint64_t address = 0;  // of the block
  int slot = 0;               // of its socket in Post::sockets
};

struct Post {
  std::mutex mutex;
  std::map<std::uint64_t, Block> blocks;
  std::vector<Transfer> transfers;
  // What a forked child has to close. 0 is the control socket; -1: free.
  std::atomic<int> sockets[1 + kCourierTransfersMax];
};

// All of this process, for its forks. Posts are never freed: Python may hold a block to the end.
std::mutex posts_mutex;
std::vector<Post*>& posts() {
  static auto* all = new std::vector<Post*>;
  return *all;
}

void close_in_child() {
  for (Post* post : posts())
    for (auto& socket : post->sockets)
      if (const int fd = socket.exchange(-1); fd >= 0) ::close(fd);
}

// Memory in huge pages where the kernel has them (core/wire/payload_memory.cc).
bool make_block(std::uint64_t size, Block& block, char*& data) {
  if (size > UINT64_MAX - kHugePageBytes) return false;
  block.mapped = size + kHugePageBytes;
  void* start = ::mmap(nullptr, block.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return false;
  block.start = static_cast<char*>(start);
  block.users = 1;
  data = block.start + (kHugePageBytes - reinterpret_cast<std::uintptr_t>(start) % kHugePageBytes) % kHugePageBytes;
  ::madvise(data, size, MADV_HUGEPAGE);
  return true;
}

bool keep(Post& post, std::uint64_t id) {
  const std::lock_guard lock(post.mutex);
  const auto found = post.blocks.find(id);
  if (found == post.blocks.end()) return false;
  ++found->second.users;
  return true;
}

void let_go(Post& post, std::uint64_t id) {
  Block block;
  {
    const std::lock_guard lock(post.mutex);
    const auto found = post.blocks.find(id);
    if (found == post.blocks.end() || --found->second.users > 0) return;
    block = found->second;
    post.blocks.erase(found);
  }
  ::munmap(block.start, block.mapped);
}

class Courier {
 public:
  explicit Courier(Post& post) : post_(post) {}

  void run() {
    std::vector<pollfd> polled;
    for (;;) {
      polled.assign(1, {post_.sockets[0], POLLIN, 0});
      for (const Transfer& transfer : post_.transfers)
        polled.push_back({post_.sockets[transfer.slot], static_cast<short>(sends(transfer) ? POLLOUT : POLLIN), 0});
      if (::poll(polled.data(), polled.size(), -1) < 0) continue;
      // Backwards: what has ended is taken out, and what comes is put behind.
      for (std::size_t i = polled.size() - 1; i > 0; --i)
        if (polled[i].revents != 0) move_on(i - 1);
      if (polled[0].revents != 0 && !take_requests()) return end();
    }
  }

 private:
  static bool sends(const Transfer& transfer) { return transfer.request.operation == CourierOperation::kSend; }

  // False at the end of the control socket.
  bool take_requests() {
    for (;;) {
      CourierRequest request;
      iovec vector{&request, sizeof request};
      alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))];
      msghdr message{};
      message.msg_iov = &vector;
      message.msg_iovlen = 1;
      message.msg_control = ancillary;
      message.msg_controllen = sizeof ancillary;
      const ssize_t n = ::recvmsg(post_.sockets[0], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
      if (n == 0) return false;
      int socket = -1;
      if (const cmsghdr* head = CMSG_FIRSTHDR(&message); head && head->cmsg_type == SCM_RIGHTS)
        std::memcpy(&socket, CMSG_DATA(head), sizeof socket);
      if (n == sizeof request)
        obey(request, socket);
      else if (socket >= 0)
        ::close(socket);
    }
  }

  void obey(const CourierRequest& request, int socket) {
    if (request.operation == CourierOperation::kFree) return let_go(post_, request.id);
    Transfer transfer{request};
    if (sends(transfer)) {
      transfer.next = reinterpret_cast<char*>(request.address);
      transfer.left = request.size;
    } else {
      Block block;
      char* data = nullptr;
      if (!make_block(request.size, block, data)) return refuse(request, socket, ENOMEM);
      {
        const std::lock_guard lock(post_.mutex);
        post_.blocks.emplace(request.id, block);
      }
      transfer.address = reinterpret_cast<std::uint64_t>(data);
      transfer.next = data + request.filled;
      transfer.left = request.size - request.filled;
    }
    const auto free = std::find(std::begin(post_.sockets) + 1, std::end(post_.sockets), -1);
    if (socket < 0 || free == std::end(post_.sockets)) {
      if (!sends(transfer)) let_go(post_, request.id);
      return refuse(request, socket, EMFILE);
    }
    free->store(socket);
    transfer.slot = static_cast<int>(free - std::begin(post_.sockets));
    post_.transfers.push_back(transfer);
    move_on(post_.transfers.size() - 1);
  }

  // One turn of a transfer.
  void move_on(std::size_t index) {
    Transfer& transfer = post_.transfers[index];
    const int socket = post_.sockets[transfer.slot];
    for (std::uint64_t turn = 0; transfer.left > 0;) {
      if (turn >= kTurnBytesMax) return;
      const auto size = static_cast<std::size_t>(std::min(transfer.left, kTurnBytesMax - turn));
      const ssize_t n = sends(transfer) ? ::send(socket, transfer.next, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                        : ::recv(socket, transfer.next, size, MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
      if (n <= 0) return finish(index, n == 0 ? ECONNRESET : errno);
      transfer.next += n;
      transfer.left -= static_cast<std::uint64_t>(n);
      turn += static_cast<std::uint64_t>(n);
    }
    finish(index, 0);
  }

  void finish(std::size_t index, int error) {
    const Transfer transfer = post_.transfers[index];
    post_.transfers.erase(post_.transfers.begin() + static_cast<std::ptrdiff_t>(index));
    ::close(post_.sockets[transfer.slot].exchange(-1));
    if (error != 0 && !sends(transfer)) let_go(post_, transfer.request.id);
    report({transfer.request.id, error, transfer.address});
  }

  void refuse(const CourierRequest& request, int socket, int error) {
    if (socket >= 0) ::close(socket);
    report({request.id, error, 0});
  }

  // The worker always reads; when it is gone, that shows on the next poll.
  void report(const CourierReport& said) {
    while (::send(post_.sockets[0], &said, sizeof said, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
  }

  void end() {
    for (const Transfer& transfer : post_.transfers)
      if (!sends(transfer)) let_go(post_, transfer.request.id);
    post_.transfers.clear();
    for (auto& socket : post_.sockets)
      if (const int fd = socket.exchange(-1); fd >= 0) ::close(fd);
  }

  Post& post_;
};

void* run(void* post) {
  Courier(*static_cast<Post*>(post)).run();
  return nullptr;
}

}  // namespace
}  // namespace dask::worker

using dask::worker::Post;

extern "C" {

void* dask_courier_start(int control) {
  auto* post = new Post;
  for (auto& socket : post->sockets) socket = -1;
  post->sockets[0] = control;
  {
    const std::lock_guard lock(dask::worker::posts_mutex);
    if (dask::worker::posts().empty()) ::pthread_atfork(nullptr, nullptr, dask::worker::close_in_child);
    dask::worker::posts().push_back(post);
  }
  // Signals are Python's.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = ::pthread_create(&thread, nullptr, dask::worker::run, post);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return nullptr;
  ::pthread_setname_np(thread, "executor-post");
  ::pthread_detach(thread);
  return post;
}

int dask_courier_keep(void* courier, std::uint64_t id) { return dask::worker::keep(*static_cast<Post*>(courier), id) ? 0 : -1; }

void dask_courier_let_go(void* courier, std::uint64_t id) { dask::worker::let_go(*static_cast<Post*>(courier), id); }
}
