// What stands between cpprestsdk's threads and the loop, for rest_client.cc only: the door through which they post, and the place
// where the pieces of a body wait.
#pragma once

#include <cpprest/astreambuf.h>

#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/net/loop.h"

namespace dask::net {

// Posts to the loop until it is closed; then drops what comes. Any thread.
class Gate {
 public:
  explicit Gate(Loop& loop) : loop_(&loop) {}
  template <class Work>
  void post(Work work) {
    std::lock_guard lock(mutex_);
    if (loop_) loop_->post(std::move(work));
  }
  void close() {
    std::lock_guard lock(mutex_);
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Loop* loop_;
};

struct StreamLimit : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A write-only stream buffer that keeps pieces until the loop takes them. Past `bytes_max` a whole body fails, and a stream's writer
// waits, so that the server is no longer read. `arrived` is called on a thread of cpprestsdk, once per take(). Any thread.
class StreamSink final : public concurrency::streams::details::streambuf_state_manager<std::uint8_t> {
 public:
  StreamSink(std::size_t bytes_max, bool whole, std::function<void()> arrived)
      : streambuf_state_manager<std::uint8_t>(std::ios_base::out), bytes_max_(bytes_max), whole_(whole), arrived_(std::move(arrived)) {}

  std::string take() {
    pplx::task_completion_event<size_t> waiter;
    std::size_t count = 0;
    std::string out;
    {
      std::lock_guard lock(mutex_);
      out.swap(data_);
      told_ = false;
      count = std::exchange(waiting_, 0);
      waiter = std::exchange(waiter_, {});
    }
    if (count > 0) waiter.set(count);
    return out;
  }

  // Nobody will take anything any more: what comes is dropped.
  void abandon() {
    {
      std::lock_guard lock(mutex_);
      abandoned_ = true;
    }
    take();
  }

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(size_t, std::ios_base::openmode) override {}
  size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return static_cast<pos_type>(traits::eof()); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return static_cast<pos_type>(traits::eof()); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override { return static_cast<pos_type>(traits::eof()); }
  bool acquire(std::uint8_t*&, size_t&) override { return false; }
  void release(std::uint8_t*, size_t) override {}

 protected:
  pplx::task<size_t> _putn(const std::uint8_t* bytes, size_t count) override {
    bool tell = false;
    pplx::task<size_t> written = pplx::task_from_result(count);
    {
      std::lock_guard lock(mutex_);
      if (abandoned_) return written;
      if (whole_ && data_.size() + count > bytes_max_) {
        return pplx::task_from_exception<size_t>(
            StreamLimit("the answer is longer than " + std::to_string(bytes_max_) + " bytes (kRestBodyBytesMax)"));
      }
      data_.append(reinterpret_cast<const char*>(bytes), count);
      if (!whole_) {
        tell = !std::exchange(told_, true);
        if (data_.size() >= bytes_max_) {
          waiting_ = count;
          written = pplx::create_task(waiter_);
        }
      }
    }
    if (tell) arrived_();
    return written;
  }
  pplx::task<int_type> _putc(std::uint8_t byte) override {
    return _putn(&byte, 1).then([byte](size_t) { return static_cast<int_type>(byte); });
  }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  pplx::task<int_type> _bumpc() override { return eof(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return eof(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return eof(); }
  pplx::task<int_type> _ungetc() override { return eof(); }
  pplx::task<size_t> _getn(std::uint8_t*, size_t) override { return pplx::task_from_result<size_t>(0); }
  size_t _scopy(std::uint8_t*, size_t) override { return 0; }
  std::uint8_t* _alloc(size_t) override { return nullptr; }
  void _commit(size_t) override {}

 private:
  static pplx::task<int_type> eof() { return pplx::task_from_result<int_type>(traits::eof()); }

  std::mutex mutex_;
  const std::size_t bytes_max_;
  const bool whole_;
  const std::function<void()> arrived_;
  std::string data_;
  bool told_ = false;
  bool abandoned_ = false;
  std::size_t waiting_ = 0;
  pplx::task_completion_event<size_t> waiter_;
};

}  // namespace dask::net
