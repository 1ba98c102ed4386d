// Whatever the scheduler and peers say, in whatever order: no crash, a sound state, every instruction answerable, and a store that holds
// exactly what the machine believes it holds. The scheduler here is no scheduler at all: it says anything, with few keys and peers.
#include <set>

#include "worker_fixture.h"

namespace dask::worker {
namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {}
  std::size_t below(std::size_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::size_t>(state_ % n);
  }
  bool chance(std::size_t one_in) { return below(one_in) == 0; }

 private:
  std::uint64_t state_;
};

// A shell without I/O: keeps the store, and what is under way.
class Shell {
 public:
  explicit Shell(std::uint64_t seed) : circles_(seed % 4 == 3), random_(seed), machine_(settings(seed)) {}

  // Empty, or what went wrong.
  std::string step() {
    Event event = random_.chance(2) ? from_the_scheduler() : from_the_shell();
    return say(std::move(event));
  }
  // Everything under way ends, everything is freed: nothing may be left.
  std::string settle() {
    for (int i = 0; i < 100; ++i) {
      FreeKeys all;
      for (int k = 0; k < kKeys; ++k) all.keys.push_back(key_of(k));
      if (std::string wrong = say(std::move(all)); !wrong.empty()) return wrong;
      while (!running_.empty())
        if (std::string wrong = say(end_of_execution()); !wrong.empty()) return wrong;
      while (!transfers_.empty())
        if (std::string wrong = say(end_of_transfer()); !wrong.empty()) return wrong;
    }
    if (circles_) return {};  // tasks that need each other are never forgotten
    if (machine_.n_tasks() != 0)
      return fmt::format("{} tasks are left, first {} in state {}\n{}", machine_.n_tasks(), machine_.tasks()[0]->key.str(),
                         name_of(machine_.tasks()[0]->state), machine_.story_text(machine_.tasks()[0]->key));
    if (!store_.empty()) return fmt::format("left in the store: {}", fmt::join(store_, " "));
    for (const auto& [address, peer] : machine_.peers())
      if (!peer->busy) return "left: " + address;
    if (machine_.available_resources() != machine_.total_resources()) return "resources are left in use";
    return {};
  }

 private:
  static constexpr int kKeys = 9;
  static Settings settings(std::uint64_t seed) {
    Settings s;
    s.address = "tcp://self:1";
    s.nthreads = 1 + seed % 3;
    s.resources = {{"R", 1}};
    s.seed = seed;
    if (seed % 2) s.transfer_incoming_bytes_limit = 3;
    if (seed % 3 == 0) s.transfer_message_bytes_limit = 2;
    return s;
  }
  static Key key_of(std::size_t n) { return Key::from_string(std::string(1, static_cast<char>('a' + n))); }
  Key any_key() { return key_of(random_.below(kKeys)); }
  std::vector<Key> some_keys() {
    std::vector<Key> out;
    for (std::size_t n = random_.below(4); n > 0; --n) out.push_back(any_key());
    return out;
  }
  std::string any_peer() { return fmt::format("tcp://{}:1", std::string(1, "sbcde"[random_.below(5)])); }
  std::vector<std::string> some_peers() {
    std::vector<std::string> out;
    for (std::size_t n = random_.below(4); n > 0; --n) out.push_back(random_.chance(8) ? "tcp://self:1" : any_peer());
    return out;
  }
  std::vector<Dependency> some_dependencies() {
    std::vector<Dependency> out;
    for (const Key& k : some_keys()) out.push_back({k, static_cast<std::int64_t>(random_.below(4)) - 1, some_peers()});
    return out;
  }
  ComputeTask any_task() {
    ComputeTask e;
    e.key = any_key();
    e.run_id = ++runs_;
    if (!random_.chance(3)) e.dependencies = some_dependencies();
    if (!circles_) std::erase_if(e.dependencies, [&](const Dependency& d) { return d.key.str() >= e.key.str(); });
    e.priority = {static_cast<double>(random_.below(3))};
    if (random_.chance(4)) {
      e.run_spec = NativeRunSpec{"f", {}, static_cast<std::uint64_t>(runs_)};
    } else {
      e.run_spec = PythonRunSpec{Value(1)};
    }
    if (random_.chance(4)) e.resource_restrictions = {{"R", 1}};
    e.actor = random_.chance(10);
    return e;
  }

  Event from_the_scheduler() {
    switch (random_.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: return any_task();
      case 5: return ComputeTasks{{any_task(), any_task(), any_task()}};
      case 6:
      case 7: return FreeKeys{some_keys()};
      case 8: return RemoveReplicas{some_keys()};
      case 9: return AcquireReplicas{some_dependencies()};
      case 10: {
        RefreshWhoHas e;
        for (const Key& k : some_keys()) e.who_has.push_back({k, some_peers()});
        return e;
      }
      case 11: return StealRequest{any_key()};
      case 12: return CancelCompute{any_key()};
      case 13: return RemoveWorker{any_peer()};
      case 14: {
        UpdateData e;
        for (const Key& k : some_keys()) {
          e.data.push_back({k, static_cast<std::int64_t>(random_.below(4)), {}, "int"});
          if (running_.count(k.str()) == 0) store_.insert(k.str());
        }
        return e;
      }
      default: return random_.chance(2) ? Event(Pause{}) : Event(Unpause{});
    }
  }

  Event from_the_shell() {
    switch (random_.below(12)) {
      case 0: return FindMissing{};
      case 1: return RetryBusyWorker{any_peer()};
      case 2: return Secede{any_key(), 1};
      case 3: {
        if (!random_.chance(6)) return Unpause{};
        DataLost e{some_keys()};
        for (const Key& k : e.keys) store_.erase(k.str());
        return e;
      }
      case 4: return SetNthreads{static_cast<std::uint32_t>(1 + random_.below(3))};
      case 5:
      case 6:
      case 7: return transfers_.empty() ? Event(FindMissing{}) : end_of_transfer();
      default: return running_.empty() ? Event(FindMissing{}) : end_of_execution();
    }
  }
  Event end_of_execution() {
    auto it = running_.begin();
    std::advance(it, random_.below(running_.size()));
    const Key k = Key::from_string(it->first);
    const std::int64_t run_id = it->second;
    running_.erase(it);
    switch (random_.below(6)) {
      case 0: {
        ExecuteFailure e;
        e.key = k;
        e.run_id = run_id;
        return e;
      }
      case 1: return Reschedule{k};
      default: {
        ExecuteSuccess e;
        e.key = k;
        e.run_id = run_id;
        e.nbytes = static_cast<std::int64_t>(random_.below(3));
        store_.insert(k.str());
        return e;
      }
    }
  }
  Event end_of_transfer() {
    auto it = transfers_.begin();
    std::advance(it, random_.below(transfers_.size()));
    const auto [peer, asked] = *it;
    transfers_.erase(it);
    switch (random_.below(8)) {
      case 0: return GatherDepBusy{peer};
      case 1: return GatherDepNetworkFailure{peer};
      case 2: return GatherDepFailure{peer, nullptr};
      default: {
        GatherDepSuccess e;
        e.worker = peer;
        for (const Key& k : asked) {
          if (random_.chance(4)) continue;
          if (random_.chance(6)) {
            e.failed.emplace_back(k, nullptr);
          } else {
            e.data.push_back({k, 1, {}, "int"});
            store_.insert(k.str());
          }
        }
        return e;
      }
    }
  }

  std::string say(Event event) {
    const std::size_t kind = event.index();
    ++now_;
    for (const Instruction& instruction : machine_.handle(std::move(event), now_, fmt::format("s{}", now_))) {
      if (const auto* execute = std::get_if<Execute>(&instruction)) {
        if (!running_.emplace(execute->key.str(), execute->run_id).second) return "runs already: " + execute->key.str();
        const Task* ts = machine_.find(execute->key);
        if (std::holds_alternative<std::monostate>(ts->run_spec)) return "nothing to run: " + execute->key.str();
        for (const Task* dependency : ts->dependencies)
          if (store_.count(dependency->key.str()) == 0)
            return fmt::format("{} has been started without its input {}\n{}", execute->key.str(), dependency->key.str(),
                               machine_.story_text(dependency->key));
      } else if (const auto* gather = std::get_if<GatherDep>(&instruction)) {
        if (gather->worker == "tcp://self:1" || gather->to_gather.empty()) return "gathers from itself, or nothing";
        if (!transfers_.emplace(gather->worker, gather->to_gather).second) return "gathers already from " + gather->worker;
      } else if (const auto* drop = std::get_if<DropData>(&instruction)) {
        store_.erase(drop->key.str());
      } else if (const auto* close = std::get_if<CloseWorker>(&instruction)) {
        return close->reason + "\n" + close->story;
      }
    }
    if (std::string wrong = machine_.validate(); !wrong.empty()) return fmt::format("event {}: {}", kind, wrong);
    for (const Task* ts : machine_.tasks())
      if ((ts->state == TaskState::kMemory) != (store_.count(ts->key.str()) == 1))
        return fmt::format("event {}: {} is {} but {}in the store\n{}", kind, ts->key.str(), name_of(ts->state),
                           store_.count(ts->key.str()) ? "" : "not ", machine_.story_text(ts->key));
    for (const std::string& name : store_)
      if (!machine_.find(Key::from_string(name))) return fmt::format("event {}: {} is in the store, and no task", kind, name);
    for (const auto& [name, run] : running_) {
      const Task* ts = machine_.find(Key::from_string(name));
      if (!ts || !ts->is_running()) return fmt::format("event {}: nobody waits for {} any more", kind, name);
    }
    return {};
  }

  bool circles_;  // tasks may depend on each other
  Random random_;
  Machine machine_;
  std::set<std::string> store_;
  std::map<std::string, std::int64_t> running_;
  std::map<std::string, std::vector<Key>> transfers_;
  std::int64_t runs_ = 0;
  int now_ = 0;
};

TEST(AnyOrder, of_events_leaves_a_sound_state_and_nothing_behind) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Shell shell(seed);
    for (int i = 0; i < 400; ++i) {
      const std::string wrong = shell.step();
      ASSERT_EQ(wrong, "") << "seed " << seed << ", step " << i;
    }
    ASSERT_EQ(shell.settle(), "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace dask::worker
