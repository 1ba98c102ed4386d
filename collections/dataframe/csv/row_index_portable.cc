// index_rows without special instructions: SSE2 where the compiler's baseline has it (every x86-64), else eight bytes at a time.
// Also chooses between the versions at run time.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "collections/dataframe/csv/row_index.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace dask::dataframe::csv {
namespace {

struct Masks {
  std::uint64_t separators, newlines, quotes, non_ascii;
};

#if defined(__SSE2__)
inline Masks classify(const char* data, char separator) {
  Masks masks{};
  for (unsigned i = 0; i < 4; ++i) {
    const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + 16 * i));
    const auto equal = [&](char c) {
      return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(part, _mm_set1_epi8(c))))) << (16 * i);
    };
    masks.separators |= equal(separator);
    masks.newlines |= equal('\n');
    masks.quotes |= equal('"');
    masks.non_ascii |= static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_movemask_epi8(part))) << (16 * i);
  }
  return masks;
}
#else
inline Masks classify(const char* data, char separator) {
  Masks masks{};
  for (unsigned i = 0; i < 64; ++i) {
    masks.separators |= static_cast<std::uint64_t>(data[i] == separator) << i;
    masks.newlines |= static_cast<std::uint64_t>(data[i] == '\n') << i;
    masks.quotes |= static_cast<std::uint64_t>(data[i] == '"') << i;
    masks.non_ascii |= static_cast<std::uint64_t>(static_cast<unsigned char>(data[i]) >> 7) << i;
  }
  return masks;
}
#endif

inline unsigned lowest_bit(std::uint64_t word) { return static_cast<unsigned>(__builtin_ctzll(word)); }
inline unsigned highest_bit(std::uint64_t word) { return 63 - static_cast<unsigned>(__builtin_clzll(word)); }
inline unsigned count_bits(std::uint64_t word) { return static_cast<unsigned>(__builtin_popcountll(word)); }
// Positions of a word's set bits, asked for in ascending order.
class BitSelector {
 public:
  explicit BitSelector(std::uint64_t word) : left_(word) {}
  unsigned select(unsigned n) {
    for (; passed_ < n; ++passed_) left_ &= left_ - 1;
    return lowest_bit(left_);
  }

 private:
  std::uint64_t left_;
  unsigned passed_ = 0;
};

#include "collections/dataframe/csv/row_index_impl.h"

}  // namespace

void index_rows_portable(const RowIndexRequest& request, const char* data, std::size_t size, RowIndex& out) {
  RowIndexer(request, data, size, out).run();
}

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
#else
  return false;
#endif
}

IndexRows index_rows_best() {
  const char* forced = std::getenv("DASK_DATAFRAME_SIMD");
  const bool portable = forced != nullptr && std::string_view(forced) == "portable";
  return has_avx2() && !portable ? index_rows_avx2 : index_rows_portable;
}

}  // namespace dask::dataframe::csv
