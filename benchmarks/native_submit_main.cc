// dask-native-submit: sends native graphs to our scheduler as a client of its own and waits for their results. Prints one JSON line
// per graph. The graph is built before the clock starts; the clock stops when the last result is in memory.

#include <fmt/format.h>

#include <bit>
#include <chrono>
#include <cstdio>

#include "benchmarks/native_shapes.h"
#include "benchmarks/stream_scan.h"
#include "core/base/key.h"
#include "core/net/comm.h"
#include "core/net/loop.h"
#include "core/net/rpc.h"
#include "core/runtime/command_line.h"
#include "core/wire/message.h"

namespace {

using namespace dask;
using SteadyClock = std::chrono::steady_clock;

struct Options {
  std::string scheduler;
  std::string shape = "tree";
  std::uint32_t tasks = 1'000'000;
  int repeat = 1;
};

class Submitter {
 public:
  Submitter(net::Loop& loop, Options options) : loop_(loop), rpc_(loop), options_(std::move(options)) {}

  void start() {
    rpc_.call(options_.scheduler, Value(Value::Map{{"op", "versions"}}), [this](Result<Value> versions) {
      if (!versions) return give_up(versions.error().message);
      net::connect(loop_, *net::parse_address(options_.scheduler), [this, v = *std::move(versions)](Result<net::CommPtr> comm) {
        if (!comm) return give_up(comm.error().message);
        register_client(*std::move(comm), v);
      });
    });
  }
  int status() const { return status_; }

 private:
  void register_client(net::CommPtr comm, const Value& versions) {
    comm_ = std::move(comm);
    comm_->on_message([this](wire::Frames frames) { receive(frames); });
    comm_->on_closed([this](Error error) { give_up(error.message); });
    comm_->send(
        wire::encode_message(Value(Value::Map{{"op", "register-client"}, {"client", client_}, {"reply", false}, {"versions", versions}})));
  }

  void receive(const wire::Frames& frames) {
    if (!started_) {
      auto hello = wire::decode_message(frames);
      if (!hello) return give_up(hello.error().message);
      const Value::Array* list = hello->array_if();
      const std::string_view error = list && !list->empty() ? (*list)[0]["error"].as_string() : "the scheduler did not start a stream";
      if (!error.empty()) return give_up(std::string(error));
      started_ = true;
      return submit();
    }
    StreamScan scan(frames[0].view());
    benchmarks::StreamOp op;
    while (scan.next(op)) {
      if (op.op == "key-in-memory" && Key::equal(op.key, shape_.wanted)) return finished();
      if (op.op == "task-erred" || op.op == "cancelled-keys" || op.op == "graph-refused-native")
        return give_up(wire::decode_message(frames).value_or(Value()).repr());
    }
  }

  void submit() {
    const auto seed = static_cast<std::uint32_t>(std::chrono::system_clock::now().time_since_epoch().count() / 1000);
    auto began = SteadyClock::now();
    if (options_.shape == "merge") {
      shape_ = benchmarks::merge_shape(options_.tasks - 1, seed);
    } else {
      shape_ = benchmarks::tree_shape(std::bit_floor((options_.tasks + 1) / 2), seed);
    }
    build_seconds_ = seconds_since(began);
    wire::BatchWriter batch;
    auto& m = batch.begin();
    m.map(4);
    m.string("op"), m.string("update-graph-native"), m.string("client"), m.string(client_), m.string("id"), m.integer(done_);
    m.string("graph"), m.binary(shape_.graph);
    shape_.graph.clear();
    wire::Frames frames = batch.take();
    submitted_ = SteadyClock::now();
    comm_->send(std::move(frames));
    if (done_ == 0) fmt::print(stderr, "submitted {} tasks\n", shape_.tasks);
  }

  void finished() {
    fmt::print("{{\"shape\": \"{}\", \"tasks\": {}, \"edges\": {}, \"build_s\": {:.6f}, \"makespan_s\": {:.6f}}}\n", options_.shape,
               shape_.tasks, shape_.edges, build_seconds_, seconds_since(submitted_));
    std::fflush(stdout);
    wire::BatchWriter batch;
    auto& m = batch.begin();
    m.map(3);
    m.string("op"), m.string("client-releases-keys"), m.string("client"), m.string(client_);
    m.string("keys"), m.array(1), m.raw(shape_.wanted);
    comm_->send(batch.take());
    if (++done_ < options_.repeat) return submit();
    comm_->send(wire::encode_message(Value(Value::Array{Value(Value::Map{{"op", "close-client"}})})));
    comm_->close();
    // What is queued still goes out at the end of this turn.
    linger_ = loop_.after(std::chrono::milliseconds(50), [this] { loop_.stop(); });
  }

  void give_up(const std::string& why) {
    if (status_ == 0 && done_ < options_.repeat) fmt::print(stderr, "dask-native-submit: {}: {}\n", options_.scheduler, why);
    status_ = done_ < options_.repeat ? 1 : 0;
    loop_.stop();
  }
  static double seconds_since(SteadyClock::time_point began) { return std::chrono::duration<double>(SteadyClock::now() - began).count(); }
  using StreamScan = benchmarks::StreamScan;

  net::Loop& loop_;
  net::RpcPool rpc_;
  Options options_;
  std::string client_ = fmt::format("Client-native-{}", SteadyClock::now().time_since_epoch().count());
  net::CommPtr comm_;
  benchmarks::NativeShape shape_;
  SteadyClock::time_point submitted_;
  net::Loop::Timer linger_;
  double build_seconds_ = 0;
  int done_ = 0;
  int status_ = 0;
  bool started_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Sends graphs of native tasks to a dask-native scheduler and waits until they are done.", "dask-native-submit"};
  Options options;
  app.add_option("scheduler", options.scheduler, "Address of the scheduler, as in tcp://127.0.0.1:8786")->required();
  app.add_option("--shape", options.shape, "merge: independent tasks and one that needs them all; tree: a binary tree")
      ->check(CLI::IsMember({"merge", "tree"}))
      ->capture_default_str();
  app.add_option("--tasks", options.tasks, "Tasks per graph (a tree has the largest that fits)")
      ->check(CLI::Range(3, 50'000'000))
      ->capture_default_str();
  app.add_option("--repeat", options.repeat, "Graphs to send, one after the other")->check(CLI::Range(1, 1000))->capture_default_str();
  if (auto end = read_command_line(app, argc, argv)) return *end;
  auto address = net::parse_address(options.scheduler);
  if (!address) {
    fmt::print(stderr, "dask-native-submit: {}\n", address.error().message);
    return 1;
  }
  options.scheduler = address->str();

  net::Loop loop;
  Submitter submitter(loop, std::move(options));
  loop.on_signals([&](int) { loop.stop(); });
  loop.post([&] { submitter.start(); });
  loop.run();
  return submitter.status();
}
