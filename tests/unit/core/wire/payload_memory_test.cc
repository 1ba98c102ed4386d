// Memory for payloads: writable to its end, aligned for huge pages when it is big, and free until it is written.
#include "core/wire/payload_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <string>

namespace dask::wire {
namespace {

std::uint64_t resident_pages() {
  std::uint64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident;
}

TEST(PayloadMemory, is_writable_to_its_end) {
  for (std::uint64_t size : {std::uint64_t{1}, std::uint64_t{4096}, kMappedPayloadBytesMin - 1, kMappedPayloadBytesMin,
                             kMappedPayloadBytesMin + 1, std::uint64_t{9'999'999}}) {
    auto memory = payload_memory(size);
    ASSERT_TRUE(memory) << size;
    std::memset(memory.get(), 7, size);
    EXPECT_EQ(memory.get()[size - 1], 7);
  }
  EXPECT_TRUE(payload_memory(0));
}

TEST(PayloadMemory, begins_with_a_huge_page_when_it_is_big) {
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(payload_memory(kMappedPayloadBytesMin).get()) % (2 << 20), 0u);
}

TEST(PayloadMemory, for_a_length_that_was_a_lie_costs_nothing) {
  const std::uint64_t before = resident_pages();
  auto memory = payload_memory(64ULL << 30);
  ASSERT_TRUE(memory);
  memory.get()[0] = 1;
  EXPECT_LT(resident_pages() - before, 2000u);  // pages of 4 KiB: less than 8 MB
}

TEST(PayloadMemory, that_nobody_has_is_null) { EXPECT_FALSE(payload_memory(1ULL << 60)); }

struct Elsewhere final : ByteSource {
  explicit Elsewhere(std::string text) : text_(std::move(text)) {}
  bool read(std::uint64_t offset, char* to, std::size_t size) const override {
    if (offset + size > text_.size()) return false;
    std::memcpy(to, text_.data() + offset, size);
    return true;
  }
  std::string text_;
};

TEST(PayloadMemory, holds_a_copy_of_what_lies_elsewhere) {
  EXPECT_EQ(local_copy(Bytes::literal("here"))->data(), Bytes::literal("here").data());
  const auto copy = local_copy(Bytes::elsewhere(std::make_shared<Elsewhere>("there"), 5));
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->view(), "there");
  EXPECT_FALSE(local_copy(Bytes::elsewhere(std::make_shared<Elsewhere>("less"), 5)));
}

}  // namespace
}  // namespace dask::wire
