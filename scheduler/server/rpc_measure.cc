// Operations that measure the cluster: memory_sampler_start, memory_sampler_stop, benchmark_hardware.
// Source: distributed/diagnostics/memory_sampler.py, distributed/scheduler.py.
#include <algorithm>
#include <chrono>
#include <map>

#include "core/runtime/log.h"
#include "scheduler/extensions/memory_samples.h"
#include "scheduler/policy/memory.h"
#include "scheduler/server/broadcast.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

// ---- memory over time ----

class MemorySampler {
 public:
  void start(Server& server, RpcCallPtr call) {
    const std::string measure(call->msg["measure"].as_string());
    const double interval_s = call->msg["interval"].as_double(0.5);
    if (!MemoryState{}.measure(measure))
      return call->raise("builtins.AttributeError",
                         "'" + measure + "' is no measure of memory; use process, managed, unmanaged, optimistic or spilled");
    const std::string id = "memory-sampler-" + std::to_string(++count_);
    samples_.start(id, std::string(call->msg["client"].as_string()), measure, interval_s, server.monotonic());
    advance(server);
    call->reply(Value(id));
  }

  void stop(RpcCallPtr call) {
    const std::string id(call->msg["key"].as_string());
    std::optional<Value> samples = samples_.stop(id);
    if (!samples) return call->raise("builtins.KeyError", id);
    call->reply(*std::move(samples));
  }

 private:
  void advance(Server& server) {
    for (const auto& [id, measure] : samples_.take_due(server.monotonic())) {
      MemoryState sum;
      for (const auto& [address, worker] : server.state().workers()) sum += memory_of(server.state().worker(worker));
      samples_.sample(id, server.now(), sum.measure(measure).value_or(0));
    }
    const Deadline next = samples_.next_deadline();
    if (!next) return;
    const auto delay = std::chrono::ceil<net::Loop::Duration>(std::chrono::duration<double>(std::max(*next - server.monotonic(), 0.0)));
    timer_ = server.loop().after(delay, [this, &server] {
      forget_departed(server);
      advance(server);
    });
  }

  void forget_departed(Server& server) {
    for (const std::string& client : samples_.clients())
      if (const Client* cs = server.state().find_client(client); !cs || !cs->connected) samples_.client_left(client);
  }

  MemorySamples samples_;
  net::Loop::Timer timer_;
  std::uint64_t count_ = 0;
};

// ---- hardware ----

// Asks all workers for the bandwidth of their disks, then of their memory, then pairs of them for that of their network;
// the answer is the mean by size.
class BenchmarkHardware : public std::enable_shared_from_this<BenchmarkHardware> {
 public:
  BenchmarkHardware(Server& server, RpcCallPtr call) : server_(server), call_(std::move(call)) {}

  void start() {
    ask("disk", "benchmark_disk",
        [](BenchmarkHardware& self) { self.ask("memory", "benchmark_memory", [](BenchmarkHardware& all) { all.network(); }); });
  }

 private:
  using Next = void (*)(BenchmarkHardware&);

  void ask(const char* name, const char* op, Next next) {
    std::vector<std::pair<std::string, std::string>> peers;
    for (const auto& [address, id] : server_.state().workers()) peers.emplace_back(address, address);
    broadcast_to(server_, peers, Value(Value::Map{{"op", op}, {"reply", true}}),
                 [self = shared_from_this(), name, next](std::shared_ptr<Broadcast> all) {
                   if (self->take(name, *all)) next(*self);
                 });
  }

  void network() {
    // By address; neighbours may be on one host, so first half and second half are paired.
    std::vector<std::string> addresses;
    for (const auto& [address, id] : server_.state().workers()) addresses.push_back(address);
    const std::size_t pairs = addresses.size() / 2;
    if (pairs == 0) return finish();
    auto pending = std::make_shared<std::size_t>(pairs);
    auto all = std::make_shared<Broadcast>();
    for (std::size_t i = 0; i < pairs; ++i)
      server_.rpc().call(addresses[i], Value(Value::Map{{"op", "benchmark_network"}, {"address", addresses[i + pairs]}, {"reply", true}}),
                         [self = shared_from_this(), all, pending, address = addresses[i]](Result<Value> answer) {
                           if (answer)
                             all->results.emplace_back(address, *std::move(answer));
                           else
                             all->errors[address] = answer.error().message;
                           if (--*pending == 0 && self->take("network", *all)) self->finish();
                         });
  }

  bool take(const std::string& name, Broadcast& all) {
    if (!all.errors.empty()) {
      call_->raise("builtins.OSError",
                   "benchmark of " + name + " failed on " + all.errors.begin()->first + ": " + all.errors.begin()->second);
      return false;
    }
    for (auto& [address, answer] : all.results) {
      if (answer["status"].as_string() == "uncaught-error") {
        call_->reply(std::move(answer));
        return false;
      }
      if (const Value::Map* sizes = answer.map_if())
        for (const auto& [size, bandwidth] : *sizes) {
          auto& [sum, count] = sums_[name][std::string(size.as_string())];
          sum += bandwidth.as_double();
          ++count;
        }
    }
    return true;
  }

  void finish() {
    Value answer = Value::map();
    for (const char* name : {"disk", "memory", "network"}) {
      Value means = Value::map();
      for (const auto& [size, sum] : sums_[name]) means.set(size, sum.first / static_cast<double>(sum.second));
      answer.set(name, std::move(means));
    }
    call_->reply(std::move(answer));
  }

  Server& server_;
  RpcCallPtr call_;
  std::map<std::string, std::map<std::string, std::pair<double, std::int64_t>>> sums_;
};

}  // namespace

void add_measure_operations(RpcTable& table) {
  auto sampler = std::make_shared<MemorySampler>();
  table["memory_sampler_start"] = [sampler](Server& server, RpcCallPtr call) { sampler->start(server, std::move(call)); };
  table["memory_sampler_stop"] = [sampler](Server&, RpcCallPtr call) { sampler->stop(std::move(call)); };
  table["benchmark_hardware"] = [](Server& server, RpcCallPtr call) {
    std::make_shared<BenchmarkHardware>(server, std::move(call))->start();
  };
}

}  // namespace dask::scheduler
