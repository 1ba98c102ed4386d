// What a turn of the worker's loop says to a scheduler: in order, keys of one stimulus together, and in the words that this scheduler
// knows.
#include "worker/server/scheduler_link.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/net/comm.h"
#include "core/net/loop.h"

namespace dask::worker {
namespace {

class SchedulerLinkTest : public testing::Test {
 protected:
  // What `say` makes a registered worker send in one batch, a line a message; `say_next` is what it does in the next turn.
  std::vector<std::string> sent(
      Value answer, std::function<void(SchedulerLink&)> say, std::function<void(SchedulerLink&)> say_next = [](SchedulerLink&) {}) {
    net::Loop loop;
    std::vector<std::string> lines;
    net::CommPtr scheduler;
    bool registered = false;
    auto listener = net::listen(loop, *net::parse_address("tcp://127.0.0.1:0"), [&](net::CommPtr comm) {
      scheduler = std::move(comm);
      scheduler->on_closed([](Error) {});
      scheduler->on_message([&](wire::Frames frames) {
        if (!std::exchange(registered, true)) return scheduler->send(wire::encode_message(answer));
        const auto batch = wire::decode_message(frames);
        ASSERT_TRUE(batch) << batch.error().message;
        for (const Value& message : *batch->array_if()) lines.push_back(line(message));
        loop.stop();
      });
    });
    SchedulerLink::Handlers handlers;
    handlers.registration = [] { return Value(Value::Map{{"op", "register-worker"}}); };
    handlers.refused = [&](const std::string& why) { ADD_FAILURE() << why, loop.stop(); };
    handlers.ended = [&](const std::string& why) { ADD_FAILURE() << why, loop.stop(); };
    SchedulerLink* worker = nullptr;
    handlers.registered = [&](Value) {
      say(*worker);
      loop.at_end_of_turn([&] { loop.post([&] { say_next(*worker); }); });
    };
    SchedulerLink link(loop, (*listener)->address(), std::move(handlers));
    worker = &link;
    link.start();
    loop.run();
    link.abort();
    scheduler->abort();
    (*listener)->close();
    return lines;
  }
  static std::string line(const Value& message) {
    std::string out(message["op"].as_string());
    if (!message["key"].is_nil()) out += " key " + message["key"].repr();
    if (!message["keys"].is_nil()) out += " keys " + message["keys"].repr();
    if (!message["stimulus_id"].is_nil()) out += " by " + message["stimulus_id"].repr();
    return out;
  }
  static Key key(const char* name) { return Key::from_string(name); }
  using Lines = std::vector<std::string>;
  const Value ours_ = Value(Value::Map{{"status", "OK"}, {"time", 1.0}, {"dask-native", Value(Value::Map{{"version", 1}})}});
  const Value stock_ = Value(Value::Map{{"status", "OK"}, {"time", 1.0}});
};

TEST_F(SchedulerLinkTest, keys_of_one_stimulus_that_follow_each_other_are_one_message) {
  EXPECT_EQ(
      sent(ours_,
           [](SchedulerLink& link) {
             link.add_keys({key("a")}, "s1");
             link.add_keys({key("b"), key("c")}, "s1");
             link.add_keys({key("d")}, "s2");
             link.release_worker_data(key("e"), "s2");
             link.release_worker_data(key("f"), "s2");
           }),
      (Lines{"add-keys keys ('a', 'b', 'c') by 's1'", "add-keys keys ('d',) by 's2'", "release-worker-data keys ('e', 'f') by 's2'"}));
}

TEST_F(SchedulerLinkTest, keeps_the_order_between_keys_answers_and_other_messages) {
  EXPECT_EQ(sent(ours_,
                 [](SchedulerLink& link) {
                   link.native_answers().finished({1, key("x"), 1, 8, 1, 2, "int"});
                   link.add_keys({key("a")}, "s");
                   link.native_answers().finished({2, key("y"), 1, 8, 1, 2, "int"});
                   link.native_answers().finished({3, key("z"), 1, 8, 1, 2, "int"});
                   link.add_keys({key("b")}, "s");
                   link.message(Value(Value::Map{{"op", "keep-alive"}}));
                   link.add_keys({key("c")}, "s");
                 }),
            (Lines{"tasks-finished-native", "add-keys keys ('a',) by 's'", "tasks-finished-native", "add-keys keys ('b',) by 's'",
                   "keep-alive", "add-keys keys ('c',) by 's'"}));
}

TEST_F(SchedulerLinkTest, released_keys_wait_for_the_next_message) {
  EXPECT_EQ(sent(
                ours_, [](SchedulerLink& link) { link.release_worker_data(key("e"), "s"); },
                [](SchedulerLink& link) {
                  link.message(Value(Value::Map{{"op", "keep-alive"}}));
                }),
            (Lines{"release-worker-data keys ('e',) by 's'", "keep-alive"}));
}

TEST_F(SchedulerLinkTest, released_keys_do_not_wait_for_ever) {
  EXPECT_EQ(sent(ours_, [](SchedulerLink& link) { link.release_worker_data(key("e"), "s"); }),
            (Lines{"release-worker-data keys ('e',) by 's'"}));
}

TEST_F(SchedulerLinkTest, a_stock_scheduler_hears_of_released_keys_one_by_one) {
  EXPECT_EQ(sent(stock_,
                 [](SchedulerLink& link) {
                   link.release_worker_data(key("e"), "s");
                   link.release_worker_data(key("f"), "s");
                 }),
            (Lines{"release-worker-data key 'e' by 's'", "release-worker-data key 'f' by 's'"}));
}

}  // namespace
}  // namespace dask::worker
