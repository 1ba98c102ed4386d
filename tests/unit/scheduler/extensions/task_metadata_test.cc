// Task metadata is collected for the keys that were submitted while somebody collects.
#include "scheduler/extensions/task_metadata.h"

#include <gtest/gtest.h>

#include "tests/unit/scheduler/extensions/told.h"

namespace dask::scheduler {
namespace {

std::optional<TaskMetadata::Ended> unknown(const Key&) { return std::nullopt; }

TEST(TaskMetadata, tells_of_submitted_tasks_that_ended) {
  TaskMetadata m;
  EXPECT_FALSE(m.active());
  m.start("a");
  m.submitted({key("x"), key("y"), key("z")});
  m.ended(key("x"), {"memory", Value(Value::Map{{"n", 1}})});
  m.ended(key("x"), {"erred", Value()});
  m.ended(key("other"), {"memory", Value()});
  const auto told = m.stop("a", [](const Key& k) {
    return k == key("y") ? std::optional(TaskMetadata::Ended{"erred", Value()}) : std::nullopt;
  });
  ASSERT_TRUE(told);
  EXPECT_EQ(told->repr(), "{'metadata': {'x': {'n': 1}, 'y': None}, 'state': {'x': 'memory', 'y': 'erred'}}");
  EXPECT_FALSE(m.active());
}

TEST(TaskMetadata, collections_do_not_disturb_each_other) {
  TaskMetadata m;
  m.start("a");
  m.submitted({key("x")});
  m.start("b");
  m.ended(key("x"), {"memory", Value()});
  EXPECT_EQ(m.stop("b", unknown)->repr(), "{'metadata': {}, 'state': {}}");
  EXPECT_EQ(m.stop("a", unknown)->repr(), "{'metadata': {'x': {}}, 'state': {'x': 'memory'}}");
  EXPECT_EQ(m.stop("a", unknown), std::nullopt);
}

}  // namespace
}  // namespace dask::scheduler
