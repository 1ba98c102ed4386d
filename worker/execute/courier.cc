#include "worker/execute/courier.h"

#include <cerrno>
#include <cstring>

#include "core/net/packet_pipe.h"
#include "core/runtime/python_location.h"
#include "worker/courier/messages.h"

namespace dask::worker {
namespace {

std::string_view packet(const CourierRequest& request) { return {reinterpret_cast<const char*>(&request), sizeof request}; }

}  // namespace

Courier::Courier(net::Loop& loop, FileDescriptor control)
    : loop_(loop), pipe_(std::make_unique<net::PacketPipe>(loop, std::move(control))) {
  pipe_->on_closed([this] { end(); });
  pipe_->on_packet([this](std::string_view said) {
    const auto keep = shared_from_this();
    take_report(said);
  });
}

Courier::~Courier() = default;

bool Courier::may_begin() {
  if (ended_) return false;
  if (under_way_.size() < kCourierTransfersMax) return true;
  ++refused_;
  return false;
}

bool Courier::send(int socket, std::uint64_t address, std::uint64_t size, std::function<void(int error)> sent) {
  if (!may_begin()) return false;
  under_way_.emplace(++last_id_, Transfer{size, [this, size, sent = std::move(sent)](int error, std::uint64_t) {
                                            if (error == 0) sent_bytes_ += size;
                                            sent(error);
                                          }});
  pipe_->send(packet({CourierOperation::kSend, last_id_, address, size, 0}), socket);
  return true;
}

bool Courier::receive(int socket, std::uint64_t size, std::uint64_t filled, Received received) {
  if (!may_begin()) return false;
  const std::uint64_t block = ++last_id_;
  Transfer transfer{size, [this, size, filled, block, received = std::move(received)](int error, std::uint64_t address) {
                      if (error == 0) received_bytes_ += size - filled;
                      received(error, block, address);
                    }};
  under_way_.emplace(block, std::move(transfer));
  pipe_->send(packet({CourierOperation::kReceive, block, 0, size, filled}), socket);
  return true;
}

void Courier::free(std::uint64_t block) {
  if (!ended_) pipe_->send(packet({CourierOperation::kFree, block, 0, 0, 0}));
}

void Courier::take_report(std::string_view said) {
  CourierReport report;
  if (said.size() != sizeof report) return;
  std::memcpy(&report, said.data(), sizeof report);
  const auto found = under_way_.find(report.id);
  if (found == under_way_.end()) return;
  const auto done = std::move(found->second.done);
  under_way_.erase(found);
  done(static_cast<int>(report.error), report.address);
}

void Courier::end() {
  if (ended_) return;
  ended_ = true;
  // Not from here: whoever waits may let go of what calls us.
  loop_.post([keep = shared_from_this()] {
    keep->pipe_.reset();
    const auto open = std::exchange(keep->under_way_, {});
    for (const auto& [id, transfer] : open) transfer.done(ESTALE, 0);
  });
}

std::string default_courier_library() { return find_beside_program("libdask_courier.so", "DASK_NATIVE_COURIER"); }

}  // namespace dask::worker
