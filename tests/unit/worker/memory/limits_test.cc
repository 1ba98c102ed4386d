// How much a worker may use: cgroups of both versions, the forms of --memory-limit, and what is done at which use.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "worker/memory/limits.h"
#include "worker/memory/thresholds.h"

namespace dask::worker {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;

// A machine made of files.
class LimitsTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "limits-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    write("/proc/meminfo", "MemFree: 1 kB\nMemTotal:       8388608 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string root_;
};

TEST_F(LimitsTest, WithoutCgroupsItIsTheMachinesMemory) { EXPECT_EQ(system_memory_limit(root_), 8 * kGiB); }

TEST_F(LimitsTest, ALimitOfCgroupV2Counts) {
  write("/proc/self/cgroup", "0::/\n");
  write("/sys/fs/cgroup/memory.max", "2147483648\n");
  EXPECT_EQ(system_memory_limit(root_), 2 * kGiB);
}

TEST_F(LimitsTest, ALimitOfAGroupAboveOursCounts) {
  write("/proc/self/cgroup", "0::/pod/container\n");
  write("/sys/fs/cgroup/pod/container/memory.max", "max\n");
  write("/sys/fs/cgroup/pod/memory.max", "1073741824\n");
  EXPECT_EQ(system_memory_limit(root_), kGiB);
}

TEST_F(LimitsTest, ALimitOfCgroupV1Counts) {
  write("/proc/self/cgroup", "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "3221225472\n");
  EXPECT_EQ(system_memory_limit(root_), 3 * kGiB);
}

TEST_F(LimitsTest, ACgroupsHugeNumberMeansNoLimit) {
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(system_memory_limit(root_), 8 * kGiB);
}

TEST_F(LimitsTest, APartOfAProcessorCountsAsOne) {
  write("/proc/self/cgroup", "0::/\n");
  write("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(cpu_count(root_), 1);
}

std::optional<std::uint64_t> parsed(std::string_view text, int nthreads = 1) {
  std::string warning;
  auto limit = parse_memory_limit(text, nthreads, 4, 8 * kGiB, warning);
  return limit ? *limit : std::optional<std::uint64_t>(1);
}

TEST(MemoryLimit, IsReadInAllOfDasksForms) {
  EXPECT_EQ(parsed("auto", 2), 4 * kGiB);
  EXPECT_EQ(parsed("auto", 8), 8 * kGiB);
  EXPECT_EQ(parsed("0.5"), 4 * kGiB);
  EXPECT_EQ(parsed("2GiB"), 2 * kGiB);
  EXPECT_EQ(parsed("1000000"), 1'000'000u);
  EXPECT_EQ(parsed("0"), std::nullopt);
}

TEST(MemoryLimit, ABadOneSaysWhatIsAllowed) {
  std::string warning;
  auto limit = parse_memory_limit("lots", 1, 4, 8 * kGiB, warning);
  ASSERT_FALSE(limit);
  EXPECT_NE(limit.error().message.find("lots"), std::string::npos);
  EXPECT_NE(limit.error().message.find("auto"), std::string::npos);
}

TEST(MemoryLimit, MoreThanTheSystemHasIsWhatItHasAndWarns) {
  std::string warning;
  EXPECT_EQ(**parse_memory_limit("100GiB", 1, 4, 8 * kGiB, warning), 8 * kGiB);
  EXPECT_NE(warning.find("8.00 GiB"), std::string::npos);
}

TEST(MemoryVerdict, FollowsDasksFourFractions) {
  const MemoryFractions fractions;
  const auto at = [&](std::uint64_t process, std::uint64_t managed) { return judge_memory(fractions, 1000, process, managed); };
  EXPECT_EQ(at(690, 590).spill_bytes, 0u);
  EXPECT_EQ(at(690, 610).spill_bytes, 10u);  // managed above the target
  EXPECT_EQ(at(710, 0).spill_bytes, 110u);   // process above spill: down to the target
  EXPECT_FALSE(at(800, 0).pause);
  EXPECT_TRUE(at(801, 0).pause);
  EXPECT_FALSE(at(950, 0).terminate);
  EXPECT_TRUE(at(951, 0).terminate);
}

TEST(MemoryVerdict, WithoutALimitNothingIsDone) {
  const MemoryVerdict verdict = judge_memory({}, std::nullopt, 1ULL << 50, 1ULL << 50);
  EXPECT_EQ(verdict.spill_bytes, 0u);
  EXPECT_FALSE(verdict.pause || verdict.terminate);
}

TEST(MemoryFractionsOf, FalseSwitchesAThresholdOff) {
  Config config;
  config.set("distributed.worker.memory.pause", false);
  EXPECT_FALSE(memory_fractions(config)->pause);
  config.set("distributed.worker.memory.spill", 7);
  EXPECT_FALSE(memory_fractions(config));
}

TEST(FormatBytes, IsDasks) {
  EXPECT_EQ(format_bytes(1), "1 B");
  EXPECT_EQ(format_bytes(1234), "1.21 kiB");
  EXPECT_EQ(format_bytes(12345678), "11.77 MiB");
  EXPECT_EQ(format_bytes(1234567890000), "1.12 TiB");
}

}  // namespace
}  // namespace dask::worker
