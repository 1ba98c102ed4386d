// Bytes: an immutable, reference-counted view of memory. Payloads of peers (pickles, results) live in one buffer from the
// socket that read them to the socket that sends them on; nobody copies or opens them in between.
// Thread safety: the count is atomic, the bytes never change; a Bytes may move between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace dask {

// Bytes that this process cannot address: they lie in another one's memory, and are read piece by piece when they are sent.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Copies [offset, offset + size) to `to`. False when the bytes are gone, for good.
  virtual bool read(std::uint64_t offset, char* to, std::size_t size) const = 0;
  // Has [offset, offset + size) sent to `socket` straight from where they are, and calls `sent` later, once, with 0, an errno, or ESTALE
  // when the bytes are gone. Until then nobody else writes there. False when it cannot: read() and send.
  virtual bool send_to(int socket, std::uint64_t offset, std::uint64_t size, std::function<void(int error)> sent) const {
    static_cast<void>(socket), static_cast<void>(offset), static_cast<void>(size), static_cast<void>(sent);
    return false;
  }
};

class Bytes {
 public:
  Bytes() = default;

  // A view of `size` bytes at `data`, alive as long as `owner`.
  Bytes(std::shared_ptr<const void> owner, const char* data, std::size_t size) : owner_(std::move(owner)), data_(data), size_(size) {}

  static Bytes copy(std::string_view bytes) {
    if (bytes.empty()) return {};
    auto buffer = std::make_shared_for_overwrite<char[]>(bytes.size());
    std::memcpy(buffer.get(), bytes.data(), bytes.size());
    const char* data = buffer.get();
    return Bytes(std::move(buffer), data, bytes.size());
  }
  static Bytes own(std::string bytes) {
    auto buffer = std::make_shared<const std::string>(std::move(bytes));
    const char* data = buffer->data();
    std::size_t size = buffer->size();
    return Bytes(std::move(buffer), data, size);
  }
  // Bytes with static lifetime.
  static Bytes literal(std::string_view bytes) { return Bytes(nullptr, bytes.data(), bytes.size()); }

  // `size` bytes, more than 0, that lie elsewhere: only size() and source() may be asked of them. Whoever did not ask for such bytes never
  // sees any.
  static Bytes elsewhere(std::shared_ptr<const ByteSource> source, std::size_t size) { return Bytes(std::move(source), nullptr, size); }
  // Where they are read from; null: they are at data().
  const ByteSource* source() const { return data_ == nullptr && size_ > 0 ? static_cast<const ByteSource*>(owner_.get()) : nullptr; }

  const char* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }
  operator std::string_view() const { return view(); }

  // The part [offset, offset + size), sharing the owner. The range must lie inside.
  Bytes slice(std::size_t offset, std::size_t size) const { return Bytes(owner_, data_ + offset, size); }

  friend bool operator==(const Bytes& a, const Bytes& b) { return a.view() == b.view(); }

 private:
  std::shared_ptr<const void> owner_;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace dask
