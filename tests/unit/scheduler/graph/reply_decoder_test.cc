// The decoder against a helper that lies: the client's code runs in its process, so anything may come.
#include "scheduler/graph/reply_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/wire/message.h"
#include "core/wire/pickle.h"

namespace dask::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
Bytes numbers(std::vector<T> values) {
  return Bytes::copy({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}

Bytes joined(const std::vector<Bytes>& parts) {
  std::string all;
  for (const Bytes& part : parts) all += part.view();
  return Bytes::own(std::move(all));
}

// A graph a -> b -> c with d beside it, where b has an annotation and "out" is defined elsewhere.
struct Lowered {
  Value head = Value::map();
  std::vector<Bytes> blobs;

  Lowered() {
    head.set("op", "lowered");
    head.set("id", 1);
    head.set("n", 4);
    head.set("keys", 5);
    head.set("specs_follow", true);
    Value row = Value::map();
    row.set("frames", 1);
    row.set("priority", 2.0);
    row.set("workers", Value(Value::Array{"alice"}));
    head.set("annotations", Value(Value::Array{row}));
    Value wire = Value::map();
    wire.set("priority", 2);
    blobs = {Bytes::own(wire::encode_msgpack(Value(Value::Array{"a", "b", "c", "d", "out"}))),
             numbers<std::uint32_t>({0, 1, 2, 0}),
             numbers<std::uint32_t>({0, 4, 1}),
             numbers<std::uint8_t>({1, 0, 2, 5}),
             numbers<std::uint32_t>({2, UINT32_MAX}),
             numbers<std::int32_t>({-1, 0, -1, -1}),
             Bytes::own(wire::encode_msgpack(Value::map())),
             Bytes::own(wire::encode_msgpack(wire))};
  }
  Bytes bytes() const { return joined(make_helper_message(head, blobs)); }
};

Bytes specs_message(std::uint64_t first, std::vector<std::uint64_t> ends, std::vector<std::uint32_t> counts = {},
                    std::vector<std::uint32_t> frames = {}, std::vector<Bytes> pool = {}) {
  Value head = Value::map();
  head.set("op", "specs");
  head.set("id", 1);
  head.set("first", first);
  head.set("failures", Value::array());
  std::vector<Bytes> blobs{Bytes::literal("AABBCCDD"), numbers(std::move(ends)), numbers(std::move(counts)), numbers(std::move(frames))};
  blobs.insert(blobs.end(), pool.begin(), pool.end());
  return joined(make_helper_message(std::move(head), std::move(blobs)));
}

Bytes done_message() {
  Value head = Value::map();
  head.set("op", "done");
  head.set("id", 1);
  return joined(make_helper_message(std::move(head), {}));
}

std::string out_of_step(Reply reply) {
  auto* confused = std::get_if<HelperOutOfStep>(&reply);
  return confused ? confused->text : "accepted";
}

TEST(ReplyDecoder, reads_columns_and_drops_what_nobody_wants) {
  ReplyDecoder decoder;
  decoder.begin(1, {});
  Reply reply = decoder.decode(Lowered().bytes());
  ASSERT_TRUE(std::holds_alternative<GraphLowered>(reply)) << out_of_step(reply);
  const LoweredGraph& graph = std::get<GraphLowered>(reply).graph;
  EXPECT_EQ(graph.columns.n_tasks, 3u);
  ASSERT_EQ(graph.columns.keys.size(), 4u);
  EXPECT_EQ(graph.columns.keys[3].str(), "out");
  EXPECT_THAT(graph.columns.dep_begin, ElementsAre(0, 0, 1, 3));
  EXPECT_THAT(graph.columns.deps, ElementsAre(0, 1, 3));
  EXPECT_THAT(graph.columns.flags, ElementsAre(GraphColumns::kDataProducer, 0, GraphColumns::kP2PBarrier));
  EXPECT_THAT(graph.columns.annotation, ElementsAre(-1, 0, -1));
  EXPECT_EQ(graph.columns.annotations[0]->user_priority, 2);
  EXPECT_THAT(graph.columns.annotations[0]->workers, ElementsAre("alice"));
  EXPECT_THAT(graph.wanted, ElementsAre(2, UINT32_MAX));
}

TEST(ReplyDecoder, reads_what_barriers_say_of_their_shuffles) {
  Lowered lowered;
  lowered.head.set("shuffles", Value(Value::Array{
                                   Value(Value::Map{{"task", 2}, {"id", "s"}, {"n", 9}, {"partitions", Value(Value::Array{4, 7})}}),
                                   Value(Value::Map{{"task", 3}, {"id", "dropped"}, {"n", 1}, {"partitions", 1}}),
                                   Value(Value::Map{{"task", 1}, {"id", "r"}, {"chunks", Value(Value::Array{2, 3})}}),
                                   Value(Value::Map{{"task", 0}, {"id", "u"}, {"unsupported", "why"}}),
                               }));
  for (const char* pickle : {"S", "D", "R", ""}) lowered.blobs.push_back(Bytes::literal(pickle));
  ReplyDecoder decoder;
  decoder.begin(1, {});
  Reply reply = decoder.decode(lowered.bytes());
  ASSERT_TRUE(std::holds_alternative<GraphLowered>(reply)) << out_of_step(reply);
  const auto& shuffles = std::get<GraphLowered>(reply).graph.columns.shuffles;
  ASSERT_EQ(shuffles.size(), 3u) << "nobody wants the second";
  EXPECT_EQ(shuffles[0].first, 2u);
  EXPECT_EQ(shuffles[0].second->pickle.view(), "S");
  EXPECT_EQ(shuffles[0].second->n, 9);
  EXPECT_THAT(shuffles[0].second->partitions, ElementsAre(4, 7));
  EXPECT_THAT(*shuffles[1].second->chunks, ElementsAre(2, 3));
  EXPECT_EQ(shuffles[1].second->n, 6);
  EXPECT_EQ(shuffles[2].second->unsupported, "why");
}

TEST(ReplyDecoder, refuses_shuffles_that_cannot_be) {
  const auto shuffle = [](Value row, int pickles = 1) {
    Lowered lowered;
    lowered.head.set("shuffles", Value(Value::Array{std::move(row)}));
    for (int i = 0; i < pickles; ++i) lowered.blobs.push_back(Bytes::literal("S"));
    ReplyDecoder decoder;
    decoder.begin(1, {});
    return out_of_step(decoder.decode(lowered.bytes()));
  };
  EXPECT_EQ(shuffle(Value(Value::Map{{"task", 2}, {"id", "s"}, {"n", 1}, {"partitions", 1}})), "accepted");
  EXPECT_THAT(shuffle(Value(Value::Map{{"task", 4}, {"id", "s"}})), HasSubstr("no task"));
  EXPECT_THAT(shuffle(Value(Value::Map{{"task", 2}, {"id", "s"}}), 0), HasSubstr("no spec"));
  EXPECT_THAT(shuffle(Value(Value::Map{{"task", 2}, {"id", "s"}}), 2), HasSubstr("and no shuffle"));
  EXPECT_THAT(shuffle(Value(Value::Map{{"task", 2}, {"partitions", -1}})), HasSubstr("number of partitions"));
  EXPECT_THAT(shuffle(Value(Value::Map{{"task", 2}, {"chunks", Value(Value::Array{1000000, 1000000})}})), HasSubstr("chunks"));
  EXPECT_THAT(shuffle(Value(Value::Map{{"task", 2}, {"chunks", Value(Value::Array{-1})}})), HasSubstr("chunks"));
  EXPECT_EQ(shuffle(Value(Value::Map{{"task", 2}, {"chunks", Value(Value::Array{3, 0, 2})}})), "accepted");
}

TEST(ReplyDecoder, gives_run_specs_to_the_tasks_that_were_kept) {
  ReplyDecoder decoder;
  decoder.begin(1, {});
  decoder.decode(Lowered().bytes());
  Reply first = decoder.decode(specs_message(0, {2, 4}, {1, 2}, {0, 0, 1}, {Bytes::literal("x"), Bytes::literal("y")}));
  ASSERT_TRUE(std::holds_alternative<SpecsArrived>(first)) << out_of_step(first);
  const auto& specs = std::get<SpecsArrived>(first).batch.specs;
  ASSERT_EQ(specs.size(), 2u);
  EXPECT_EQ(specs[1].first, 1u);
  EXPECT_EQ(specs[1].second->header, Bytes::literal("BB"));
  EXPECT_THAT(specs[1].second->frames, ElementsAre(Bytes::literal("x"), Bytes::literal("y")));
  Reply second = decoder.decode(specs_message(2, {2, 8}, {0, 1}, {1}));
  ASSERT_TRUE(std::holds_alternative<SpecsArrived>(second)) << out_of_step(second);
  EXPECT_EQ(std::get<SpecsArrived>(second).batch.specs.size(), 1u) << "the spec of a task that was culled is dropped";
  EXPECT_TRUE(std::holds_alternative<GraphDone>(decoder.decode(done_message())));
}

TEST(ReplyDecoder, asks_for_specs_by_the_helpers_own_numbers) {
  Lowered lowered;
  lowered.head.set("specs_follow", false);
  lowered.blobs[1] = numbers<std::uint32_t>({0, 0, 0, 3});  // d needs the others, and b is not wanted
  lowered.blobs[2] = numbers<std::uint32_t>({0, 2, 4});
  lowered.blobs[4] = numbers<std::uint32_t>({3});
  ReplyDecoder decoder;
  decoder.begin(1, {});
  Reply reply = decoder.decode(lowered.bytes());
  ASSERT_TRUE(std::holds_alternative<GraphLowered>(reply)) << out_of_step(reply);
  EXPECT_TRUE(std::get<GraphLowered>(reply).ask);
  EXPECT_THAT(std::get<GraphLowered>(reply).pickle_order, ElementsAre(0, 2, 3));
}

TEST(ReplyDecoder, refuses_columns_that_do_not_fit_and_names_what_is_wrong) {
  struct Case {
    std::string expected;
    std::function<void(Lowered&)> spoil;
  };
  const std::vector<Case> cases = {
      {"no sizes", [](Lowered& l) { l.head.set("n", 6); }},
      {"no sizes", [](Lowered& l) { l.head.set("keys", Value()); }},
      {"no sizes", [](Lowered& l) { l.head.set("keys", 1'000'000'000'000); }},
      {"expected 5 keys", [](Lowered& l) { l.blobs[0] = Bytes::literal("\x91\xa1x"); }},
      {"is no msgpack", [](Lowered& l) { l.blobs[0] = Bytes::literal("\x95\xa1x\xa1y\xa1z\xc1\xc1\xa1z"); }},
      {"key", [](Lowered& l) { l.blobs[0] = Bytes::literal("\x95\xa1x\xa1y\xa1z\xa1w\x81\x01\x02"); }},
      {"after the last key", [](Lowered& l) { l.blobs[0] = Bytes::own(std::string(l.blobs[0].view()) + "x"); }},
      {"dependency counts",
       [](Lowered& l) {
         l.blobs[1] = numbers<std::uint32_t>({0, 1, 2});
       }},
      {"ends inside a number", [](Lowered& l) { l.blobs[1] = Bytes::literal("123"); }},
      {"tasks count",
       [](Lowered& l) {
         l.blobs[1] = numbers<std::uint32_t>({0, 1, UINT32_MAX, 0});
       }},
      {"twice or out of range",
       [](Lowered& l) {
         l.blobs[2] = numbers<std::uint32_t>({0, 1, 1});
       }},
      {"twice or out of range",
       [](Lowered& l) {
         l.blobs[2] = numbers<std::uint32_t>({0, 1, 5});
       }},
      {"flags", [](Lowered& l) { l.blobs[3] = numbers<std::uint8_t>({1}); }},
      {"wanted", [](Lowered& l) { l.blobs[4] = numbers<std::uint32_t>({4}); }},
      {"annotations do not fit", [](Lowered& l) { l.blobs[5] = numbers<std::int32_t>({0}); }},
      {"annotation row",
       [](Lowered& l) {
         l.blobs[5] = numbers<std::int32_t>({0, 1, 0, 0});
       }},
      {"annotation row",
       [](Lowered& l) {
         l.blobs[5] = numbers<std::int32_t>({0, -2, 0, 0});
       }},
      {"no annotation row names", [](Lowered& l) { l.blobs.push_back(Bytes::literal("x")); }},
      {"no frames", [](Lowered& l) { l.blobs.pop_back(); }},
      {"columns", [](Lowered& l) { l.blobs.resize(3); }},
      {"expected graph 1", [](Lowered& l) { l.head.set("id", 2); }},
      {"makes no sense", [](Lowered& l) { l.head.set("op", "nonsense"); }},
  };
  for (const Case& c : cases) {
    Lowered lowered;
    c.spoil(lowered);
    ReplyDecoder decoder;
    decoder.begin(1, {});
    EXPECT_THAT(out_of_step(decoder.decode(lowered.bytes())), HasSubstr(c.expected));
  }
}

TEST(ReplyDecoder, refuses_run_specs_that_do_not_fit) {
  const std::vector<Bytes> wrong = {
      specs_message(1, {2}),                                         // out of order
      specs_message(0, {1, 2, 3, 4, 5}),                             // more than tasks
      specs_message(0, {4, 2}),                                      // backwards
      specs_message(0, {2, 9}),                                      // past the end
      specs_message(0, {2, 4}, {1}, {0}, {Bytes::literal("x")}),     // one count for two
      specs_message(0, {2, 4}, {1, 1}, {0}, {Bytes::literal("x")}),  // a frame is missing
      specs_message(0, {2, 4}, {1, 0}, {1}, {Bytes::literal("x")}),  // never sent
  };
  for (const Bytes& message : wrong) {
    ReplyDecoder decoder;
    decoder.begin(1, {});
    decoder.decode(Lowered().bytes());
    EXPECT_THAT(out_of_step(decoder.decode(message)), HasSubstr("run specs"));
  }
}

TEST(ReplyDecoder, refuses_messages_whose_lengths_lie) {
  ReplyDecoder decoder;
  decoder.begin(1, {});
  for (std::string_view bytes : {std::string_view(""), std::string_view("\1\0\0", 3), std::string_view("\xff\xff\xff\xff\x80"),
                                 std::string_view("\1\0\0\0\xc0", 5), std::string_view("\1\0\0\0\x80", 5)}) {
    EXPECT_NE(out_of_step(decoder.decode(Bytes::copy(bytes))), "accepted");
  }
}

TEST(ReplyDecoder, survives_any_damage_of_its_messages) {
  std::mt19937 random(11);
  const std::vector<Bytes> messages = {
      Lowered().bytes(), specs_message(0, {2, 4}, {1, 2}, {0, 0, 1}, {Bytes::literal("x"), Bytes::literal("y")}), done_message()};
  for (int round = 0; round < 20'000; ++round) {
    ReplyDecoder decoder;
    decoder.begin(1, {});
    for (const Bytes& message : messages) {
      std::string damaged(message.view());
      for (std::uint32_t i = random() % 3; i > 0; --i) damaged[random() % damaged.size()] = static_cast<char>(random());
      if (random() % 10 == 0) damaged.resize(random() % damaged.size());
      decoder.decode(Bytes::own(std::move(damaged)));
    }
  }
}

TEST(ReplyDecoder, keeps_the_first_failure_of_a_task_until_the_end) {
  ReplyDecoder decoder;
  decoder.begin(1, {});
  decoder.decode(Lowered().bytes());
  Value head = Value::map();
  head.set("op", "specs");
  head.set("id", 1);
  head.set("first", 0);
  Value failure = Value::map();
  failure.set("position", 1);
  failure.set("exception", Bytes::literal("pickle"));
  failure.set("exception_text", "ValueError('b')");
  head.set("failures", Value(Value::Array{failure}));
  Reply specs = decoder.decode(joined(make_helper_message(
      head, {Bytes::literal("AABB"), numbers<std::uint64_t>({2, 4}), numbers<std::uint32_t>({}), numbers<std::uint32_t>({})})));
  ASSERT_TRUE(std::holds_alternative<SpecsArrived>(specs)) << out_of_step(specs);
  EXPECT_EQ(std::get<SpecsArrived>(specs).batch.specs.size(), 1u);
  Reply done = decoder.decode(done_message());
  ASSERT_TRUE(std::holds_alternative<GraphDone>(done));
  EXPECT_EQ(std::get<GraphDone>(done).failure->exception_text, "ValueError('b')");
}

}  // namespace
}  // namespace dask::scheduler
