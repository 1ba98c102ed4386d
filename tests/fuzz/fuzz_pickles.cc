// The pickle reader: no input crashes it or makes it unfold without bound; strings written by us are read back.
#include "core/base/python_text.h"
#include "core/wire/message.h"
#include "core/wire/pickle.h"
#include "tests/fuzz/fuzz.h"

using namespace dask;
using namespace dask::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (auto value = unpickle_scalar(input)) {
    std::string bytes = encode_msgpack(*value);
    FUZZ_EXPECT(decode_msgpack(Bytes::copy(bytes)));
  }
  auto text = unpickle_scalar(pickle_string(input));
  FUZZ_EXPECT(text && text->as_string() == python::to_utf8(input));
  FUZZ_EXPECT(!unpickle_scalar(pickle_exception("builtins", "ValueError", input)));
  error_message("builtins", "ValueError", input);
  return 0;
}
