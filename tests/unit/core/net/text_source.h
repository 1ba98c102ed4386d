// Bytes that lie elsewhere, for tests: in a string, until they are lost.
#pragma once

#include <cstring>
#include <string>

#include "core/base/bytes.h"

namespace dask::net::test {

class TextSource final : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  bool read(std::uint64_t offset, char* to, std::size_t size) const override {
    if (lost_ || offset + size > text_.size()) return false;
    std::memcpy(to, text_.data() + offset, size);
    fetched_ += size;
    return true;
  }
  // Sends itself only when the test sets `ask`, which is called for it.
  bool send_to(int socket, std::uint64_t offset, std::uint64_t size, std::function<void(int)> sent) const override {
    if (!ask) return false;
    ask(socket, offset, size, std::move(sent));
    return true;
  }
  std::function<void(int socket, std::uint64_t offset, std::uint64_t size, std::function<void(int)> sent)> ask;
  const std::string& text() const { return text_; }
  std::size_t fetched() const { return fetched_; }
  void lose() { lost_ = true; }

 private:
  std::string text_;
  bool lost_ = false;
  mutable std::size_t fetched_ = 0;
};

// Text in which a piece that is left out, doubled or moved shows.
inline std::string text_of(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
  return text;
}

}  // namespace dask::net::test
