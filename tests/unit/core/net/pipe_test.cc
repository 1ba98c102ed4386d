// FramePipe and Child: messages to a child program and back, large ones, broken ones, and the end of either side.
#include "core/net/pipe.h"

#include <gmock/gmock.h>
#include <signal.h>

#include "core/net/child.h"
#include "tests/unit/core/net/net_fixture.h"

namespace dask::net::test {

using testing::HasSubstr;

struct Pipes : testing::Test {
  void SetUp() override {
    auto pair = socket_pair();
    ASSERT_TRUE(pair);
    ours = std::move(pair->first);
    theirs = std::move(pair->second);
  }
  std::unique_ptr<FramePipe> open(FileDescriptor fd, FramePipe::Limits limits = {}) {
    auto pipe = std::make_unique<FramePipe>(loop, std::move(fd), limits);
    pipe->on_message([this](Bytes message) { messages.push_back(std::move(message)); });
    pipe->on_closed([this](Error error) { ends.push_back(std::move(error)); });
    return pipe;
  }
  void write_raw(std::string_view bytes) {
    EXPECT_EQ(::write(theirs.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  Loop loop;
  FileDescriptor ours;
  FileDescriptor theirs;
  std::vector<Bytes> messages;
  std::vector<Error> ends;
};

TEST_F(Pipes, carry_messages_in_order) {
  auto here = open(std::move(ours));
  auto there = open(std::move(theirs));
  for (int i = 0; i < 2000; ++i) there->send({Bytes::copy(std::to_string(i)), {}, Bytes::literal("!")});
  there->send({});
  ASSERT_TRUE(run_until(loop, [&] { return messages.size() == 2001; }));
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(messages[static_cast<std::size_t>(i)].view(), std::to_string(i) + "!");
  EXPECT_TRUE(messages.back().empty());
}

TEST_F(Pipes, carry_300_megabytes) {
  auto here = open(std::move(ours));
  auto there = open(std::move(theirs));
  std::string big(300'000'000, 'x');
  for (std::size_t i = 0; i < big.size(); i += 4096) big[i] = static_cast<char>(i / 4096);
  there->send({Bytes::literal("head"), Bytes::own(big)});
  there->send({Bytes::literal("after")});
  ASSERT_TRUE(run_until(loop, [&] { return messages.size() == 2; }));
  EXPECT_EQ(messages[0].view().substr(4), big);
  EXPECT_EQ(messages[1].view(), "after");
}

TEST_F(Pipes, report_the_other_sides_end_once) {
  auto here = open(std::move(ours));
  write_raw(std::string("\3\0\0\0\0\0\0\0abc\5\0\0\0\0\0\0\0ab", 21));
  theirs.reset();
  ASSERT_TRUE(run_until(loop, [&] { return !ends.empty(); }));
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].view(), "abc");
  EXPECT_THAT(ends[0].message, HasSubstr("in the middle of a message"));
  here->send({Bytes::literal("nobody")});
}

TEST_F(Pipes, refuse_a_length_beyond_the_limit) {
  auto here = open(std::move(ours));
  write_raw(std::string("\0\0\0\0\0\0\0\x80", 8));
  ASSERT_TRUE(run_until(loop, [&] { return !ends.empty(); }));
  EXPECT_EQ(ends[0].code, ErrorCode::kMalformed);
}

TEST_F(Pipes, give_up_on_a_side_that_does_not_read) {
  auto here = open(std::move(ours), {.outgoing_bytes_max = 10'000'000});
  Bytes big = Bytes::own(std::string(4'000'000, 'x'));
  for (int i = 0; i < 4; ++i) here->send({big});
  ASSERT_TRUE(run_until(loop, [&] { return !ends.empty(); }));
  EXPECT_EQ(ends[0].code, ErrorCode::kLimit);
}

TEST_F(Pipes, may_be_destroyed_by_their_own_handlers) {
  auto here = open(std::move(ours));
  here->on_message([&](const Bytes&) { here.reset(); });
  write_raw(std::string("\1\0\0\0\0\0\0\0a\1\0\0\0\0\0\0\0b", 18));
  ASSERT_TRUE(run_until(loop, [&] { return here == nullptr; }));
  EXPECT_TRUE(ends.empty());
}

TEST_F(Pipes, reach_a_child_program) {
  auto here = open(std::move(ours));
  std::string fd = std::to_string(theirs.get());
  auto child = Child::start(loop, {.argv = {"sh", "-c", "exec cat <&" + fd + " >&" + fd}, .inherit = {theirs.get()}}, {});
  ASSERT_TRUE(child) << child.error().message;
  theirs.reset();
  Bytes big = Bytes::own(std::string(3'000'000, 'y'));
  here->send({Bytes::literal("to the child and back"), big});
  ASSERT_TRUE(run_until(loop, [&] { return messages.size() == 1; }));
  EXPECT_EQ(messages[0].size(), 3'000'021u);
  (*child)->kill(SIGKILL);
  ASSERT_TRUE(run_until(loop, [&] { return !ends.empty(); }));
}

TEST(Child, tells_its_lines_and_then_its_end) {
  Loop loop;
  std::vector<std::string> lines;
  std::optional<ExitStatus> status;
  auto child =
      Child::start(loop, {.argv = {"sh", "-c", "echo one; echo two >&2; printf unfinished; exit 7"}, .capture_output = true},
                   {.exited = [&](ExitStatus end) { status = end; }, .line = [&](std::string_view line) { lines.emplace_back(line); }});
  ASSERT_TRUE(child) << child.error().message;
  ASSERT_TRUE(run_until(loop, [&] { return status.has_value(); }));
  EXPECT_EQ(status->code, 7);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "unfinished"}));
  EXPECT_FALSE((*child)->running());
}

TEST(Child, destroying_it_kills_the_program_and_calls_nothing) {
  Loop loop;
  bool called = false;
  auto child = Child::start(loop, {.argv = {"sleep", "1000"}}, {.exited = [&](ExitStatus) { called = true; }});
  ASSERT_TRUE(child);
  EXPECT_TRUE((*child)->running());
  int pid = (*child)->pid();
  child->reset();
  EXPECT_NE(::kill(pid, 0), 0);
  auto turn = loop.after(std::chrono::milliseconds(5), [&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(called);
}

TEST(Child, may_be_destroyed_by_its_own_exit) {
  Loop loop;
  std::unique_ptr<Child> child;
  bool ended = false;
  auto started = Child::start(loop, {.argv = {"true"}}, {.exited = [&](ExitStatus) {
                                child.reset();
                                ended = true;
                              }});
  ASSERT_TRUE(started);
  child = *std::move(started);
  ASSERT_TRUE(run_until(loop, [&] { return ended; }));
}

}  // namespace dask::net::test
