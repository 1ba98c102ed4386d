// Metadata is a tree of dicts under any names; entries of tasks go with them.
#include "scheduler/extensions/metadata.h"

#include <gtest/gtest.h>

#include "tests/unit/scheduler/extensions/told.h"

namespace dask::scheduler {
namespace {

TEST(Metadata, values_are_found_under_their_paths) {
  Metadata m;
  EXPECT_TRUE(m.empty());
  m.set({"a", "b"}, Value(1));
  m.set({"a", 2}, Value("two"));
  m.set({}, Value("ignored"));
  EXPECT_EQ((*m.get({"a", "b"}))->repr(), "1");
  EXPECT_EQ((*m.get({"a"}))->repr(), "{'b': 1, 2: 'two'}");
  EXPECT_EQ((*m.get({}))->repr(), "{'a': {'b': 1, 2: 'two'}}");
  m.set({"a", "b", "deeper"}, Value(true));
  EXPECT_EQ((*m.get({"a", "b"}))->repr(), "{'deeper': True}");
}

TEST(Metadata, what_is_not_there_is_told_from_what_cannot_be) {
  Metadata m;
  m.set({"a"}, Value(1));
  EXPECT_EQ(m.get({"b"}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(m.get({"b"}).error().message, "'b'");
  EXPECT_EQ(m.get({"a", "b"}).error().code, ErrorCode::kInvalidArgument);
}

TEST(Metadata, a_task_takes_its_entry_along) {
  Metadata m;
  m.set({"x"}, Value(1));
  m.set({Value(Value::Array{"y", 0}), "part"}, Value(2));
  m.forget(key("z"));
  m.forget(key("x"));
  EXPECT_FALSE(m.get({"x"}));
  m.forget(*Key::from_value(Value(Value::Array{"y", 0})));
  EXPECT_EQ((*m.get({}))->repr(), "{}");
  EXPECT_TRUE(m.empty());
}

}  // namespace
}  // namespace dask::scheduler
