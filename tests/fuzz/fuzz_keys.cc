// Keys: validation, canonical form, hash and spelling agree with each other on every input.
#include "core/base/key.h"
#include "core/base/python_text.h"
#include "tests/fuzz/fuzz.h"

using namespace dask;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string text = python::to_utf8(input);
  FUZZ_EXPECT(python::is_utf8(text));
  Key name = Key::from_string(text);
  FUZZ_EXPECT(name.str() == text && is_plainly_canonical(name.msgpack()) && canonical_key(name.msgpack()) == name.msgpack());
  FUZZ_EXPECT(python::is_utf8(key_split(name.msgpack())) && python::is_utf8(key_split_group(name.msgpack())));

  auto key = Key::from_msgpack(input);
  if (!key) return 0;
  std::string canonical = canonical_key(input);
  FUZZ_EXPECT(canonical_key(canonical) == canonical);
  FUZZ_EXPECT(Key::hash(canonical) == Key::hash(input) && Key::equal(canonical, input));
  FUZZ_EXPECT(!is_plainly_canonical(input) || canonical == input);
  auto again = Key::from_value(key->value());
  FUZZ_EXPECT(again && *again == *key);
  FUZZ_EXPECT(python::is_utf8(key->str()) && python::is_utf8(key->repr()));
  FUZZ_EXPECT(python::is_utf8(key_split(input)) && python::is_utf8(key_split_group(input)));
  return 0;
}
