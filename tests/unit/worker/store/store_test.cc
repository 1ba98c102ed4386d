// Where values are: live, as frames, on disk; what is given out, what is moved, and what a full disk does.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/net/loop.h"
#include "worker/store/spill_file.h"
#include "worker/store/store.h"
#include "worker/store/workspace.h"

namespace dask::worker {
namespace {

OpaquePtr frames_of(const std::string& text) {
  auto data = std::make_shared<Opaque>();
  data->header = Bytes::copy("header");
  data->frames = {Bytes::copy(text), Bytes(), Bytes::copy("end")};
  return data;
}

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "store-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override {
    store_ = nullptr;
    std::filesystem::remove_all(folder_);
  }
  // The executor of these tests: serialises at once what it is asked for.
  void make(StoreOptions options = {}) {
    options.folder = folder_;
    LiveValues live;
    live.serialise = [this](const std::vector<Key>& keys, const std::vector<std::string>&, bool lend,
                            const PythonExecutor::SerialiseDone& done) {
      std::vector<PythonSerialised> out;
      for (const Key& key : keys) {
        ++serialised_;
        out.push_back({key, unpicklable_ ? nullptr : frames_of("live " + key.str()), {}});
        if (lend && lends_) {
          auto lent = std::make_shared<Opaque>(*out.back().data);
          lent->frames = {Bytes::elsewhere(std::make_shared<Elsewhere>(), 5)};
          out.back().data = std::move(lent);
        }
        if (unpicklable_) out.back().failure = PythonFailure{};
      }
      done(std::move(out));
    };
    live.drop = [this](const std::vector<Key>& keys) {
      for (const Key& key : keys) dropped_.push_back(key.str());
    };
    store_ = std::make_unique<Store>(loop_, clock_, std::move(options), std::move(live));
  }
  static Key key(const std::string& name) { return Key::from_string(name); }
  // What `condition` waits for, turn by turn.
  void run_until(const std::function<bool()>& condition) {
    const net::Loop::Timer poll = loop_.every(std::chrono::milliseconds(1), [&] {
      if (condition()) loop_.stop();
    });
    const net::Loop::Timer limit = loop_.after(std::chrono::seconds(20), [&] {
      ADD_FAILURE() << "what was waited for did not come";
      loop_.stop();
    });
    loop_.run();
  }
  std::vector<PythonSerialised> frames(const std::vector<Key>& keys, bool lend = false) {
    std::optional<std::vector<PythonSerialised>> got;
    store_->frames(
        keys, {}, [&](std::vector<PythonSerialised> data) { got = std::move(data); }, lend);
    if (!got) run_until([&] { return got.has_value(); });
    return *got;
  }
  Result<std::vector<PythonInput>> inputs(const std::vector<Key>& keys) {
    std::optional<Result<std::vector<PythonInput>>> got;
    store_->inputs(keys, [&](Result<std::vector<PythonInput>> data) { got = std::move(data); });
    if (!got) run_until([&] { return got.has_value(); });
    return *got;
  }
  std::string folder_;
  net::Loop loop_;
  SystemClock clock_;
  std::unique_ptr<Store> store_;
  std::vector<std::string> dropped_;
  int serialised_ = 0;
  bool unpicklable_ = false;
  bool lends_ = false;
  struct Elsewhere final : ByteSource {
    bool read(std::uint64_t, char*, std::size_t) const override { return false; }
  };
};

TEST_F(StoreTest, WhatAPeerSentIsGivenOutAsItCame) {
  make();
  const OpaquePtr data = frames_of("x");
  store_->add_frames(key("x"), data, 10);
  EXPECT_EQ(frames({key("x")})[0].data, data);
  EXPECT_EQ(serialised_, 0);
}

TEST_F(StoreTest, ALiveValueIsSerialisedOnceForSeveralPeers) {
  make();
  store_->add_live(key("x"), 10, false);
  EXPECT_EQ(frames({key("x")})[0].data->frames[0].view(), "live x");
  frames({key("x")});
  EXPECT_EQ(serialised_, 1);
}

TEST_F(StoreTest, WhatTheExecutorLendsIsForThoseWhoSend) {
  make();
  lends_ = true;
  store_->add_live(key("x"), 100, false);
  EXPECT_TRUE(frames({key("x")}, true)[0].data->frames[0].source());
  EXPECT_TRUE(frames({key("x")}, true)[0].data->frames[0].source());
  EXPECT_EQ(serialised_, 1);  // several peers want it
  EXPECT_FALSE(store_->native_input(key("x")).node);
  EXPECT_EQ(frames({key("x")})[0].data->frames[0].view(), "live x");
  EXPECT_EQ(store_->managed_in_memory(), 100u);  // counted once, where it is
  store_->spill(100);
  run_until([&] { return store_->spilled_count() == 1; });
  EXPECT_EQ(frames({key("x")}, true)[0].data->frames[0].view(), "live x");
}

TEST_F(StoreTest, WhatWasReceivedIntoTheExecutorGoesOnAsItCameUntilATaskHasIt) {
  make();
  auto received = std::make_shared<Opaque>(*frames_of("x"));
  received->frames = {Bytes::elsewhere(std::make_shared<Elsewhere>(), 100)};
  store_->add_received(key("x"), received, 100);
  EXPECT_EQ(store_->managed_in_memory(), 100u);
  EXPECT_EQ(frames({key("x")}, true)[0].data, received);
  EXPECT_EQ(serialised_, 0);
  EXPECT_FALSE((*inputs({key("x")}))[0].serialised);  // the executor has it
  EXPECT_EQ(frames({key("x")})[0].data->frames[0].view(), "live x");
  EXPECT_EQ(serialised_, 1);
  std::weak_ptr<const Opaque> gone = received;
  received = nullptr;
  EXPECT_TRUE(gone.expired());
}

TEST_F(StoreTest, WhatWasReceivedIntoTheExecutorIsSpilledFromThereAndLeavesIt) {
  make();
  auto received = std::make_shared<Opaque>(*frames_of("x"));
  received->frames = {Bytes::elsewhere(std::make_shared<Elsewhere>(), 100)};
  store_->add_received(key("x"), std::move(received), 100);
  store_->spill(100);
  run_until([&] { return store_->spilled_count() == 1; });
  EXPECT_EQ(dropped_, std::vector<std::string>{"x"});
  EXPECT_EQ(store_->managed_in_memory(), 0u);
  EXPECT_EQ(frames({key("x")}, true)[0].data->frames[0].view(), "live x");
}

TEST_F(StoreTest, AnActorsProxyIsNeverKept) {
  make();
  store_->add_live(key("x"), 10, true);
  frames({key("x")});
  frames({key("x")});
  EXPECT_EQ(serialised_, 2);
  EXPECT_TRUE(store_->keys().empty());
}

TEST_F(StoreTest, AnInputGoesToTheExecutorOnce) {
  make();
  store_->add_frames(key("x"), frames_of("x"), 10);
  EXPECT_TRUE((*inputs({key("x")}))[0].serialised);
  EXPECT_FALSE((*inputs({key("x")}))[0].serialised);
}

TEST_F(StoreTest, AMissingInputIsNamed) {
  make();
  const auto got = inputs({key("x")});
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().message.find("'x'"), std::string::npos);
}

TEST_F(StoreTest, TheOldestValuesGoToDiskAndComeBack) {
  make();
  store_->add_live(key("old"), 100, false);
  store_->add_frames(key("new"), frames_of("new"), 100);
  store_->spill(50);
  run_until([&] { return store_->spilled_count() == 1; });
  EXPECT_EQ(dropped_, std::vector<std::string>{"old"});
  EXPECT_EQ(store_->managed_in_memory(), 100u);
  EXPECT_EQ(store_->spilled_memory(), 100u);
  EXPECT_GT(store_->spilled_disk(), 0u);
  EXPECT_EQ(frames({key("old")})[0].data->frames[0].view(), "live old");
  EXPECT_EQ((*inputs({key("old")}))[0].serialised->frames[2].view(), "end");
  EXPECT_EQ(store_->managed_in_memory(), 200u);
  EXPECT_EQ(store_->spilled_count(), 0u);
}

TEST_F(StoreTest, WhatIsOnDiskAlreadyLeavesTheMemoryAtOnce) {
  make();
  store_->add_live(key("x"), 100, false);
  store_->spill(1);
  run_until([&] { return store_->spilled_count() == 1; });
  ASSERT_TRUE(inputs({key("x")}));
  store_->spill(1 << 20);
  EXPECT_EQ(store_->spilled_count(), 1u);
  EXPECT_EQ(serialised_, 1);
}

TEST_F(StoreTest, ADroppedValueTakesItsFileWithIt) {
  make();
  store_->add_live(key("x"), 100, false);
  store_->spill(1);
  run_until([&] { return store_->spilled_count() == 1; });
  store_->drop(key("x"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_EQ(store_->spilled_disk(), 0u);
  EXPECT_EQ(store_->spilled_memory(), 0u);
}

TEST_F(StoreTest, AValueThatIsDroppedWhileItIsWrittenLeavesNothing) {
  make();
  store_->add_live(key("x"), 100, false);
  store_->spill(1);
  store_->drop(key("x"));
  run_until([&] { return store_->totals().disk_write_count == 1; });
  EXPECT_EQ(store_->spilled_count(), 0u);
  EXPECT_EQ(store_->spilled_disk(), 0u);
}

TEST_F(StoreTest, AFolderThatCannotBeWrittenKeepsTheValueInMemory) {
  make();
  std::ofstream(folder_) << "a file where the folder should be";
  store_->add_live(key("x"), 100, false);
  store_->spill(1);
  run_until([&] { return store_->can_spill(); });
  EXPECT_EQ(store_->managed_in_memory(), 100u);
  EXPECT_EQ(frames({key("x")})[0].data->frames[0].view(), "live x");
}

TEST_F(StoreTest, AValueThatDoesNotPickleStaysAndIsNotTriedAgain) {
  make();
  unpicklable_ = true;
  store_->add_live(key("x"), 100, false);
  store_->spill(1);
  EXPECT_FALSE(store_->can_spill());
  store_->spill(1);
  EXPECT_EQ(serialised_, 1);
}

TEST_F(StoreTest, MaxSpillBoundsTheDisk) {
  StoreOptions options;
  options.spill_bytes_max = 150;
  make(options);
  store_->add_live(key("x"), 100, false);
  store_->add_live(key("y"), 100, false);
  store_->spill(200);
  run_until([&] { return store_->spilled_count() == 1; });
  store_->spill(200);
  EXPECT_EQ(store_->managed_in_memory(), 100u);
}

TEST(SpillFileTest, AFileThatIsNotOursIsRefused) {
  const std::string path = testing::TempDir() + "spill-file";
  for (const std::string& text : {std::string(), std::string("nonsense"), std::string(200, '\xff')}) {
    std::ofstream(path) << text;
    EXPECT_FALSE(read_spill_file(path));
  }
  std::filesystem::remove(path);
}

TEST(SpillFileTest, AFileThatWasCutShortIsRefused) {
  const std::string path = testing::TempDir() + "spill-short";
  std::filesystem::remove(path);
  ASSERT_TRUE(write_spill_file(path, *frames_of("x")));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_FALSE(read_spill_file(path));
  std::filesystem::remove(path);
}

TEST(WorkspaceTest, IsRemovedWithItsWorkerAndSoIsWhatAKilledWorkerLeft) {
  const std::string base = testing::TempDir() + "workspace";
  std::filesystem::remove_all(base);
  std::filesystem::create_directories(base + "/dask-scratch-space/worker-left/storage");
  std::ofstream(base + "/dask-scratch-space/worker-left.native-lock") << "";
  std::string path;
  {
    auto one = Workspace::create(base);
    ASSERT_TRUE(one);
    auto two = Workspace::create(base);
    ASSERT_TRUE(two);
    path = one->path();
    EXPECT_TRUE(std::filesystem::exists(path));
    EXPECT_FALSE(std::filesystem::exists(base + "/dask-scratch-space/worker-left"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  std::filesystem::remove_all(base);
}

}  // namespace
}  // namespace dask::worker
