#include "core/wire/keys_writer.h"

#include <gtest/gtest.h>

#include "core/base/key.h"

namespace dask::wire {
namespace {

TEST(KeysWriter, is_one_message_with_the_first_key_s_stimulus) {
  KeysWriter keys;
  BatchWriter batch;
  EXPECT_TRUE(keys.empty());
  keys.add("free-keys", Key::from_string("x").msgpack(), "first");
  keys.add("free-keys", Key::from_string("y").msgpack(), "second");
  EXPECT_FALSE(keys.empty());
  EXPECT_EQ(keys.op(), "free-keys");
  EXPECT_EQ(keys.stimulus_id(), "first");
  EXPECT_TRUE(batch.empty());
  keys.close(batch);
  EXPECT_TRUE(keys.empty());
  auto message = decode_message(batch.take());
  ASSERT_TRUE(message);
  EXPECT_EQ(message->repr(), "({'op': 'free-keys', 'keys': ('x', 'y'), 'stimulus_id': 'first'},)");
}

TEST(KeysWriter, starts_anew_after_it_was_closed) {
  KeysWriter keys;
  BatchWriter batch;
  keys.close(batch);
  EXPECT_TRUE(batch.empty());
  keys.add("free-keys", Key::from_string("x").msgpack(), "first");
  keys.close(batch);
  keys.add("remove-replicas", Key::from_string("y").msgpack(), "second");
  keys.close(batch);
  keys.close(batch);
  auto message = decode_message(batch.take());
  ASSERT_TRUE(message);
  EXPECT_EQ(message->repr(),
            "({'op': 'free-keys', 'keys': ('x',), 'stimulus_id': 'first'}, "
            "{'op': 'remove-replicas', 'keys': ('y',), 'stimulus_id': 'second'})");
}

}  // namespace
}  // namespace dask::wire
