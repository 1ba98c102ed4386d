// Child programs: what they inherit, how they end, what is said when they cannot start.
#include "core/runtime/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace dask {

using testing::HasSubstr;

std::string read_all(int fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<std::size_t>(n));
  return all;
}

TEST(ChildProcess, runs_with_added_environment_and_captured_output) {
  auto child = ChildProcess::start(
      {.argv = {"sh", "-c", "echo $GREETING; echo err >&2; exit 3"}, .environment = {{"GREETING", "hello"}}, .capture_output = true});
  ASSERT_TRUE(child) << child.error().message;
  FileDescriptor output = child->take_output();
  EXPECT_EQ(read_all(output.get()), "hello\nerr\n");
  ExitStatus status = child->wait();
  EXPECT_EQ(status.code, 3);
  EXPECT_EQ(status.str(), "exit code 3");
  EXPECT_EQ(child->poll()->code, 3);
}

TEST(ChildProcess, inherits_only_what_is_named) {
  auto pair = socket_pair();
  ASSERT_TRUE(pair);
  auto other = socket_pair();
  std::string named = std::to_string(pair->second.get());
  std::string unnamed = std::to_string(other->second.get());
  auto child = ChildProcess::start(
      {.argv = {"sh", "-c", "echo through >&" + named + "; test ! -e /proc/self/fd/" + unnamed}, .inherit = {pair->second.get()}});
  ASSERT_TRUE(child) << child.error().message;
  pair->second.reset();
  EXPECT_EQ(read_all(pair->first.get()), "through\n");
  EXPECT_TRUE(child->wait().ok());
}

TEST(ChildProcess, inherits_nothing_that_a_library_left_open) {
  auto pair = socket_pair();
  ASSERT_TRUE(pair);
  FileDescriptor careless(::dup(pair->first.get()));  // without close-on-exec, as Boost.Asio makes its sockets
  auto child = ChildProcess::start({.argv = {"sleep", "1000"}});
  ASSERT_TRUE(child) << child.error().message;
  careless.reset();
  pair->first.reset();
  char byte;
  EXPECT_EQ(::read(pair->second.get(), &byte, 1), 0);  // the end shows: the child does not hold it open
}

TEST(ChildProcess, says_which_signal_killed_it) {
  auto child = ChildProcess::start({.argv = {"sleep", "1000"}});
  ASSERT_TRUE(child);
  EXPECT_FALSE(child->poll());
  child->kill(SIGTERM);
  EXPECT_EQ(child->wait().str(), "killed by signal 15 (Terminated)");
}

TEST(ChildProcess, dies_with_its_owner_object) {
  int pid = 0;
  {
    auto child = ChildProcess::start({.argv = {"sleep", "1000"}});
    ASSERT_TRUE(child);
    pid = child->pid();
    EXPECT_EQ(::getpgid(pid), ::getpgid(0));
  }
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST(ChildProcess, that_cannot_start_says_why) {
  auto missing = ChildProcess::start({.argv = {"no-such-program-anywhere"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("no-such-program-anywhere"));
  auto folder = ChildProcess::start({.argv = {"/"}});
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message, HasSubstr("cannot run /: Permission denied"));
  EXPECT_FALSE(ChildProcess::start({}));
}

}  // namespace dask
