// Small values in one string: what fits comes back, what does not is left to the usual way.
#include "core/native/inline_value.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dask::native {
namespace {

TEST(InlineValue, comes_back_as_it_was) {
  const auto text = from_inline(Bytes::own(to_inline(NativeValue::of(std::string("hello")), 100)));
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text->get_if<std::string>(), "hello");
  EXPECT_EQ(text->type_name(), NativeValue::of(std::string()).type_name());
  const std::vector<double> numbers(80, 1.5);  // packed: not plain
  const auto packed = from_inline(Bytes::own(to_inline(NativeValue::of(numbers), 1000)));
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_EQ(*packed->get_if<std::vector<double>>(), numbers);
  EXPECT_EQ(packed->serialize()->plain, false);
}

TEST(InlineValue, is_empty_for_what_is_larger_and_for_nothing) {
  EXPECT_EQ(to_inline(NativeValue::of(std::string(200, 'x')), 100), "");
  EXPECT_EQ(to_inline(NativeValue::of(1), 0), "");
  EXPECT_EQ(to_inline(NativeValue(), 100), "");
}

TEST(InlineValue, that_is_broken_is_an_error) {
  const std::string good = to_inline(NativeValue::of(7), 100);
  ASSERT_TRUE(from_inline(Bytes::copy(good)));
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(from_inline(Bytes::copy(good.substr(0, size)))) << size;
  EXPECT_FALSE(from_inline(Bytes::copy(good + "x")));
  EXPECT_FALSE(from_inline(Bytes::literal("\x93\x01\xc2\xc4\x00")));
}

}  // namespace
}  // namespace dask::native
