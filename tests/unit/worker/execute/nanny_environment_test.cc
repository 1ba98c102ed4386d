// The environment of executors is what Dask's nanny gives its workers.
#include "worker/execute/nanny_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace dask::worker {
namespace {

using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Pair;
using Variables = std::map<std::string, std::string>;

TEST(NannyEnvironment, keeps_numeric_libraries_to_one_thread_by_default) {
  ::unsetenv("OMP_NUM_THREADS");
  auto variables = nanny_environment(Config());
  ASSERT_TRUE(variables) << variables.error().message;
  EXPECT_THAT(*variables, IsSupersetOf({Pair("OMP_NUM_THREADS", "1"), Pair("MKL_NUM_THREADS", "1"), Pair("OPENBLAS_NUM_THREADS", "1"),
                                        Pair("MALLOC_TRIM_THRESHOLD_", "65536")}));
}

TEST(NannyEnvironment, what_is_in_our_own_environment_wins) {
  ::setenv("OMP_NUM_THREADS", "7", 1);
  auto variables = nanny_environment(Config());
  ::unsetenv("OMP_NUM_THREADS");
  ASSERT_TRUE(variables);
  EXPECT_EQ(variables->at("OMP_NUM_THREADS"), "7");
}

TEST(NannyEnvironment, environ_comes_after_pre_spawn_environ_and_null_means_not_to_set) {
  Config config;
  config.set("distributed.nanny.pre-spawn-environ", Value(Value::Map{{"DASK_TEST_A", 1}, {"DASK_TEST_B", Value()}}));
  config.set("distributed.nanny.environ", Value(Value::Map{{"DASK_TEST_A", "two"}, {"DASK_TEST_C", true}}));
  auto variables = nanny_environment(config);
  ASSERT_TRUE(variables);
  EXPECT_EQ(variables->at("DASK_TEST_A"), "two");
  EXPECT_EQ(variables->at("DASK_TEST_C"), "True");
  EXPECT_FALSE(variables->count("DASK_TEST_B"));
}

TEST(NannyEnvironment, says_which_key_is_no_map) {
  Config config;
  config.set("distributed.nanny.environ", "A=1");
  auto variables = nanny_environment(config);
  ASSERT_FALSE(variables);
  EXPECT_THAT(variables.error().message, HasSubstr("distributed.nanny.environ"));
}

}  // namespace
}  // namespace dask::worker
