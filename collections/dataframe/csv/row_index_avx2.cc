// index_rows with AVX2 and BMI2: two loads classify 64 bytes, pdep finds the n-th separator. Used only where the processor has both.
// AMD's Zen 1 and 2 have pdep in microcode, where it takes a hundred cycles and more: they clear the bits before the n-th one by one.
#include <algorithm>

#include "collections/dataframe/csv/row_index.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt,lzcnt")

namespace dask::dataframe::csv {
namespace {

struct Masks {
  std::uint64_t separators, newlines, quotes, non_ascii;
};

inline std::uint64_t equal_mask(__m256i low, __m256i high, char c) {
  const __m256i wanted = _mm256_set1_epi8(c);
  const auto a = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)));
  const auto b = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)));
  return a | static_cast<std::uint64_t>(b) << 32;
}

inline Masks classify(const char* data, char separator) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + 32));
  const auto non_ascii = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_or_si256(low, high)));
  return {equal_mask(low, high, separator), equal_mask(low, high, '\n'), equal_mask(low, high, '"'),
          non_ascii | static_cast<std::uint64_t>(non_ascii) << 32};
}

const bool kPdepIsSlow = [] {
  __builtin_cpu_init();
  return __builtin_cpu_is("znver1") || __builtin_cpu_is("znver2");
}();

// Positions of a word's set bits, asked for in ascending order.
class BitSelector {
 public:
  explicit BitSelector(std::uint64_t word) : left_(word) {}
  unsigned select(unsigned n) {
    if (!kPdepIsSlow) return static_cast<unsigned>(_tzcnt_u64(_pdep_u64(std::uint64_t{1} << n, left_)));
    for (; passed_ < n; ++passed_) left_ = _blsr_u64(left_);
    return static_cast<unsigned>(_tzcnt_u64(left_));
  }

 private:
  std::uint64_t left_;
  unsigned passed_ = 0;
};

inline unsigned count_bits(std::uint64_t word) { return static_cast<unsigned>(_mm_popcnt_u64(word)); }
inline unsigned lowest_bit(std::uint64_t word) { return static_cast<unsigned>(_tzcnt_u64(word)); }
inline unsigned highest_bit(std::uint64_t word) { return 63 - static_cast<unsigned>(_lzcnt_u64(word)); }

#include "collections/dataframe/csv/row_index_impl.h"

}  // namespace

void index_rows_avx2(const RowIndexRequest& request, const char* data, std::size_t size, RowIndex& out) {
  RowIndexer(request, data, size, out).run();
}

}  // namespace dask::dataframe::csv

#pragma GCC pop_options

#else

namespace dask::dataframe::csv {
void index_rows_avx2(const RowIndexRequest& request, const char* data, std::size_t size, RowIndex& out) {
  index_rows_portable(request, data, size, out);
}
}  // namespace dask::dataframe::csv

#endif
