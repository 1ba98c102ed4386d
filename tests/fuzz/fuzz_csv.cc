// CSV: any bytes are read or refused, and it makes no difference to the values whether the file is cut into blocks (quotes and all)
// or which of the two row finders works. The first two bytes of the input choose the separator and the size of the blocks.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "collections/dataframe/csv/block_reader.h"
#include "collections/dataframe/csv/scan_plan.h"
#include "tests/fuzz/fuzz.h"

using namespace dask;
using namespace dask::dataframe;

namespace {

// All values of all columns, or false where a row or value is refused. Values are bytes, so that NaN equals itself.
bool read_all(const csv::Layout& layout, const std::vector<csv::Block>& blocks, csv::IndexRows index_rows, std::vector<std::string>& out,
              std::size_t& rows) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = 0; i < layout.columns.size(); ++i) all.push_back(i);
  out.assign(layout.columns.size(), "");
  rows = 0;
  for (const csv::Block& block : blocks) {
    auto reader = csv::BlockReader::open(layout, block, all, index_rows);
    if (!reader) return false;
    for (;;) {
      auto more = reader->next();
      if (!more) return false;
      if (!*more) break;
      rows += reader->rows();
      for (const std::uint32_t i : all) {
        Vec values;
        if (!reader->parse(i, nullptr, values)) return false;
        FUZZ_EXPECT(values.size() == reader->rows());
        out[i].append(reinterpret_cast<const char*>(values.ints.data()), values.ints.size() * sizeof(std::int64_t));
        out[i].append(reinterpret_cast<const char*>(values.doubles.data()), values.doubles.size() * sizeof(double));
        out[i].append(reinterpret_cast<const char*>(values.bools.data()), values.bools.size());
        for (const std::string_view text : values.texts) {
          out[i].append(text.data() == nullptr ? "missing" : "text").append(std::to_string(text.size())).append(text);
        }
      }
    }
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  csv::PlanOptions options;
  options.separator = ",;\t |x"[take_byte(input) % 6];
  const std::int64_t blocksize_bytes = 1 + take_byte(input);

  const int file = ::memfd_create("fuzz", MFD_CLOEXEC);
  FUZZ_EXPECT(file >= 0 && ::write(file, input.data(), input.size()) == static_cast<ssize_t>(input.size()));
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  options.blocksize_bytes = 0;
  const auto whole = csv::plan_scan({path}, options);
  if (whole) {
    options.blocksize_bytes = blocksize_bytes;
    const auto cut = csv::plan_scan({path}, options);
    std::vector<std::string> fast, portable, in_blocks;
    std::size_t rows = 0, rows_portable = 0, rows_in_blocks = 0;
    const bool read = read_all(whole->layout, whole->blocks, csv::index_rows_best(), fast, rows);
    FUZZ_EXPECT(read == read_all(whole->layout, whole->blocks, csv::index_rows_portable, portable, rows_portable));
    FUZZ_EXPECT(!read || (fast == portable && rows == rows_portable));
    FUZZ_EXPECT(cut || !read);  // what cutting refuses, reading refuses as well
    if (cut) {
      FUZZ_EXPECT(read == read_all(whole->layout, cut->blocks, csv::index_rows_best(), in_blocks, rows_in_blocks));
      FUZZ_EXPECT(!read || (fast == in_blocks && rows == rows_in_blocks));
    }
  }
  ::close(file);
  return 0;
}
