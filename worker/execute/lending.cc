#include "worker/execute/lending.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>

#include "core/base/value.h"
#include "worker/execute/courier.h"

namespace dask::worker {

// The executor as long as it lives; what was borrowed may outlive it.
struct Lending::Lender {
  int pid = 0;
  bool alive = true;
  std::function<void(std::uint64_t)> give_back;
  std::shared_ptr<Courier> courier;
};

// Bytes in the executor's memory.
class Lending::There : public ByteSource {
 public:
  There(std::shared_ptr<Lender> lender, std::uint64_t address) : lender_(std::move(lender)), address_(address) {}
  bool read(std::uint64_t offset, char* to, std::size_t size) const override {
    return lender_->alive && read_process_memory(lender_->pid, address_ + offset, to, size);
  }
  bool send_to(int socket, std::uint64_t offset, std::uint64_t size, std::function<void(int)> sent) const override {
    return lender_->alive && lender_->courier && lender_->courier->send(socket, address_ + offset, size, std::move(sent));
  }

  const Lender* lender() const { return lender_.get(); }
  std::uint64_t address() const { return address_; }

 protected:
  std::shared_ptr<Lender> lender_;

 private:
  std::uint64_t address_;
};

class Lending::Borrowed final : public There {
 public:
  Borrowed(std::shared_ptr<Lender> lender, std::uint64_t lease, std::uint64_t address) : There(std::move(lender), address), lease_(lease) {}
  ~Borrowed() override {
    if (lender_->alive) lender_->give_back(lease_);
  }

 private:
  std::uint64_t lease_;
};

class Lending::Received final : public There {
 public:
  Received(std::shared_ptr<Lender> lender, std::uint64_t block, std::uint64_t address) : There(std::move(lender), address), block_(block) {}
  ~Received() override {
    if (lender_->courier) lender_->courier->free(block_);
  }
  std::uint64_t block() const { return block_; }

 private:
  std::uint64_t block_;
};

bool read_process_memory(int pid, std::uint64_t address, char* to, std::size_t size) {
  while (size > 0) {
    iovec here{to, size};
    iovec there{reinterpret_cast<void*>(address), size};
    const ssize_t n = ::process_vm_readv(pid, &here, 1, &there, 1, 0);
    if (n <= 0) return false;
    address += static_cast<std::uint64_t>(n);
    to += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

bool write_process_memory(int pid, std::uint64_t address, std::string_view from) {
  while (!from.empty()) {
    iovec here{const_cast<char*>(from.data()), from.size()};
    iovec there{reinterpret_cast<void*>(address), from.size()};
    const ssize_t n = ::process_vm_writev(pid, &here, 1, &there, 1, 0);
    if (n <= 0) return false;
    address += static_cast<std::uint64_t>(n);
    from.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

Lending::Lending(std::function<void(std::uint64_t lease)> give_back) : lender_(std::make_shared<Lender>()) {
  std::random_device random;
  probe_value_ = (std::uint64_t{random()} << 31) ^ random();
  lender_->give_back = std::move(give_back);
}

Lending::~Lending() { executor_ended(); }

Value Lending::probe() const {
  return Value(Value::Map{{"pid", ::getpid()}, {"address", reinterpret_cast<std::uint64_t>(&probe_value_)}, {"value", probe_value_}});
}

void Lending::agree(bool can_read_us, int pid, std::uint64_t executor_pid, std::uint64_t address) {
  may_lend_ = can_read_us;
  // Another process than our child (a wrapper that did not exec) could be gone and replaced unseen.
  if (pid <= 0 || executor_pid != static_cast<std::uint64_t>(pid)) return;
  lender_->pid = pid;
  std::uint64_t value = 0;
  may_borrow_ = read_process_memory(pid, address, reinterpret_cast<char*>(&value), sizeof value) && value == probe_value_;
}

void Lending::set_courier(std::shared_ptr<Courier> courier) { lender_->courier = std::move(courier); }

LentTotals Lending::totals() const {
  LentTotals totals{to_executor_, from_executor_, lent_.size()};
  if (lender_->courier) {
    totals.sent = lender_->courier->sent_bytes();
    totals.received = lender_->courier->received_bytes();
    totals.refused = lender_->courier->refused();
  }
  return totals;
}

void Lending::executor_ended() {
  lender_->alive = false;
  if (const auto courier = std::exchange(lender_->courier, nullptr)) courier->end();
  may_lend_ = false;
}

std::uint64_t Lending::lend(Bytes blob) {
  to_executor_ += blob.size();
  lent_.emplace(++last_lease_, std::move(blob));
  return last_lease_;
}

std::uint64_t Lending::hold(Bytes blob) {
  lent_.emplace(++last_lease_, std::move(blob));
  return last_lease_;
}

bool Lending::receive(int socket, std::string_view received, std::uint64_t size, std::function<void(Result<Bytes> frame)> done) {
  if (!lender_->alive || !lender_->courier) return false;
  return lender_->courier->receive(socket, size, received.size(),
                                   [lender = lender_, first = std::string(received), size, done = std::move(done)](
                                       int error, std::uint64_t block, std::uint64_t address) {
                                     if (error == ESTALE || !lender->alive)
                                       return done(fail(ErrorCode::kUnavailable, "the executor that it was received into has ended"));
                                     if (error != 0) return done(fail(ErrorCode::kUnavailable, std::strerror(error)));
                                     const auto frame = std::make_shared<Received>(lender, block, address);
                                     if (!write_process_memory(lender->pid, address, first))
                                       return done(fail(ErrorCode::kUnavailable, "the executor's memory cannot be written"));
                                     done(Bytes::elsewhere(frame, size));
                                   });
}

std::optional<Lending::Block> Lending::block_of(const Bytes& blob) const {
  const auto* received = dynamic_cast<const Received*>(blob.source());
  if (!received || received->lender() != lender_.get()) return std::nullopt;
  return Block{received->block(), received->address()};
}

Bytes Lending::borrow(std::uint64_t lease, std::uint64_t address, std::uint64_t size) {
  from_executor_ += size;
  return Bytes::elsewhere(std::make_shared<Borrowed>(lender_, lease, address), size);
}

}  // namespace dask::worker
