// JSON: any text is read or refused, and what was read is written as text that is read as the same again.
#include "core/base/json.h"
#include "tests/fuzz/fuzz.h"

using namespace dask;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto value = parse_json(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!value) return 0;
  std::string text = to_json(*value);
  auto again = parse_json(text);
  FUZZ_EXPECT(again && to_json(*again) == text);
  return 0;
}
