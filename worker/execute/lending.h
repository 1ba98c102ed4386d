// Lending: large blobs do not pass the socket between the worker and its executor. The one that has them says where they lie, and the other
// copies them out of its memory (process_vm_readv): once, and only when it needs them. The lender keeps them until they are given back.
// Where the kernel does not allow it (a seccomp profile, another PID namespace), both sides find out at the start and use the socket.
// Thread ownership: the loop's thread, also for what is read through borrow().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/value.h"

namespace dask::worker {

// Smaller blobs pass the socket: lending costs a message in return.
inline constexpr std::size_t kLentBytesMin = 1 << 20;

// Copies from another process's memory; false when it cannot all be read.
bool read_process_memory(int pid, std::uint64_t address, char* to, std::size_t size);
bool write_process_memory(int pid, std::uint64_t address, std::string_view from);

class Courier;

struct LentTotals {
  std::uint64_t to_executor = 0;    // bytes that it was lent since the start
  std::uint64_t from_executor = 0;  // bytes that it lent
  std::size_t held = 0;             // blobs that it has not given back
  std::uint64_t sent = 0;           // bytes that the courier has sent straight to peers
  std::uint64_t received = 0;       // ... and received from them
  std::uint64_t refused = 0;        // transfers beyond kCourierTransfersMax
};

class Lending {
 public:
  // Called for each blob of the executor that nobody here uses any more.
  explicit Lending(std::function<void(std::uint64_t lease)> give_back);
  ~Lending();
  Lending(const Lending&) = delete;
  Lending& operator=(const Lending&) = delete;

  // For the executor's start message: where to look whether it can read our memory, and what stands there.
  Value probe() const;
  // The executor's answer: whether it could, its own PID and where `value` of the probe stands in its memory. `pid`: our child's.
  void agree(bool can_read_us, int pid, std::uint64_t executor_pid, std::uint64_t address);

  // Who sends what is borrowed, once there is one.
  void set_courier(std::shared_ptr<Courier> courier);

  // Its memory is gone: what was borrowed can be read no more.
  void executor_ended();

  bool may_lend() const { return may_lend_; }      // large blobs of ours need not be sent
  bool may_borrow() const { return may_borrow_; }  // nor those of the executor, when asked so

  LentTotals totals() const;

  // Has the courier receive a frame from a peer into the executor's memory (net::TakeFrame).
  bool receive(int socket, std::string_view received, std::uint64_t size, std::function<void(Result<Bytes> frame)> done);
  // Where a blob that receive() gave lies in this executor; nothing when it is none.
  struct Block {
    std::uint64_t id = 0;
    std::uint64_t address = 0;
  };
  std::optional<Block> block_of(const Bytes& blob) const;

  std::uint64_t lend(Bytes blob);
  // A blob that is in the executor already: until it is returned, it is not let go.
  std::uint64_t hold(Bytes blob);
  void returned(std::uint64_t lease) { lent_.erase(lease); }
  // A blob that stays in the executor. It is readable until the executor has ended, and given back with the last use of the Bytes.
  Bytes borrow(std::uint64_t lease, std::uint64_t address, std::uint64_t size);

 private:
  struct Lender;
  class There;
  class Borrowed;
  class Received;

  std::uint64_t probe_value_;
  bool may_lend_ = false;
  bool may_borrow_ = false;
  std::uint64_t last_lease_ = 0;
  std::uint64_t to_executor_ = 0;
  std::uint64_t from_executor_ = 0;
  std::unordered_map<std::uint64_t, Bytes> lent_;
  std::shared_ptr<Lender> lender_;
};

}  // namespace dask::worker
