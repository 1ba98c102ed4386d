// The gathering write of OutputQueue: at most IOV_MAX segments a call, at most kTurnBytesMax a turn. What lies elsewhere goes alone.
#include "core/net/output_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace dask::net {

namespace {
constexpr std::size_t kSmallBufferBytes = 64 * 1024;
constexpr std::size_t kSpareBytesMax = 256 * 1024;
constexpr std::size_t kSegmentsPerWrite = IOV_MAX < 1024 ? IOV_MAX : 1024;
constexpr std::size_t kTurnBytesMax = 32 << 20;
}  // namespace

void OutputQueue::add(const Bytes& bytes) {
  if (bytes.size() <= kCopyBytesMax && !bytes.source()) {
    add_copy(bytes.view());
    return;
  }
  segments_.push_back(Segment{{}, bytes, false});
  bytes_ += bytes.size();
}

void OutputQueue::add_copy(std::string_view bytes) {
  if (bytes.empty()) return;
  if (segments_.empty() || !segments_.back().big.empty() || segments_.back().small.size() + bytes.size() > kSmallBufferBytes) {
    segments_.emplace_back();
    segments_.back().small = std::move(spare_);
    segments_.back().small.clear();
    spare_ = {};
  }
  segments_.back().small.append(bytes);
  bytes_ += bytes.size();
}

void OutputQueue::clear() {
  segments_.clear();
  offset_ = 0;
  bytes_ = 0;
  stage_ = nullptr;
  stage_size_ = 0;
  handing_over_ = false;
}

std::string_view OutputQueue::staged() {
  const Bytes& lent = segments_.front().big;
  if (offset_ >= stage_begin_ + stage_size_) {
    if (!stage_) stage_ = std::make_unique_for_overwrite<char[]>(kStageBytes);
    stage_begin_ = offset_;
    stage_size_ = std::min(kStageBytes, lent.size() - offset_);
    if (!lent.source()->read(offset_, stage_.get(), stage_size_)) return {};
  }
  return std::string_view(stage_.get(), stage_size_).substr(offset_ - stage_begin_);
}

void OutputQueue::consume(std::size_t n) {
  bytes_ -= n;
  n += offset_;
  while (!segments_.empty() && n >= segments_.front().size()) {
    Segment& front = segments_.front();
    n -= front.size();
    if (front.source()) {
      stage_ = nullptr;
      stage_begin_ = stage_size_ = 0;
    }
    if (front.big.empty() && front.small.capacity() <= kSpareBytesMax) spare_ = std::move(front.small);
    segments_.pop_front();
  }
  offset_ = n;
}

bool OutputQueue::hand_over(int fd, std::function<void(int error)> sent) {
  Segment& front = segments_.front();
  // The bytes stay until they are sent, also when this queue is cleared meanwhile.
  if (front.source()->send_to(fd, offset_, front.size() - offset_,
                              [keep = front.big, sent = std::move(sent)](int error) { sent(error); })) {
    handing_over_ = true;
    return true;
  }
  front.stays = true;
  return false;
}

void OutputQueue::handed_over() {
  if (std::exchange(handing_over_, false)) consume(segments_.front().size() - offset_);
}

OutputQueue::Outcome OutputQueue::write_to(int fd, bool may_hand_over) {
  std::size_t written_this_turn = 0;
  while (bytes_ > 0) {
    if (written_this_turn >= kTurnBytesMax) return Outcome::kBlocked;
    std::array<iovec, kSegmentsPerWrite> vectors;
    std::size_t count = 0;
    std::size_t size = 0;
    for (const Segment& segment : segments_) {
      if (count == vectors.size() || (count > 0 && segment.source())) break;
      std::string_view view;
      if (segment.source()) {
        if (may_hand_over && !segment.stays && offset_ >= stage_begin_ + stage_size_ && segment.size() - offset_ >= kHandOverBytesMin)
          return Outcome::kHandOver;
        view = staged();
        if (view.empty()) return Outcome::kGone;
      } else {
        view = segment.view();
        if (count == 0) view.remove_prefix(offset_);
      }
      vectors[count++] = {const_cast<char*>(view.data()), view.size()};
      size += view.size();
      if (segment.source()) break;
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    ssize_t written = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Outcome::kBlocked : Outcome::kFailed;
    }
    consume(static_cast<std::size_t>(written));
    written_this_turn += static_cast<std::size_t>(written);
    if (static_cast<std::size_t>(written) < size) return Outcome::kBlocked;
  }
  return Outcome::kEmpty;
}

}  // namespace dask::net
