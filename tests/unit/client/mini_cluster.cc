#include "tests/unit/client/mini_cluster.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/native/dask_node.h"
#include "core/native/inline_value.h"
#include "core/wire/message.h"

namespace dask::client_test {
namespace {

template <class F>
void on_loop(net::Loop& loop, F&& work) {
  std::promise<void> done;
  loop.post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

worker::FunctionTablePtr functions() { return std::make_shared<const native::FunctionTable>(*native::FunctionTable::of_registered()); }

}  // namespace

MiniScheduler::MiniScheduler() {
  scheduler::ServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  options.dashboard_host = "127.0.0.1";
  options.dashboard_port = 0;
  server_ = std::make_unique<scheduler::Server>(loop_, clock_, std::move(options));
  const auto started = server_->start();
  EXPECT_TRUE(started) << started.error().message;
  address_ = server_->address();
  thread_ = std::thread([this] { loop_.run(); });
}

MiniScheduler::~MiniScheduler() {
  loop_.post([this] { server_->close("the test is over", [this] { loop_.stop(); }); });
  thread_.join();
  server_.reset();
}

MiniWorker::MiniWorker(std::string scheduler, int nthreads, bool small_results_come_along)
    : scheduler_(std::move(scheduler)), nthreads_(nthreads), small_results_come_along_(small_results_come_along) {
  loop_.post([this] {
    pool_ = std::make_unique<worker::NativePool>(loop_, clock_, static_cast<std::size_t>(nthreads_), functions(),
                                                 [this](std::vector<worker::NativeExecuted> done) { executed(std::move(done)); });
    net::connect(loop_, *net::parse_address(scheduler_), [this](Result<net::CommPtr> comm) { connected(*std::move(comm)); });
  });
  thread_ = std::thread([this] { loop_.run(); });
  running_.get_future().wait();
}

MiniWorker::~MiniWorker() {
  on_loop(loop_, [this] {
    pool_.reset();
    if (stream_) stream_->close();
    listener_->close();
    for (const auto& peer : peers_) peer->abort();
    heartbeat_.cancel();
  });
  loop_.stop();
  thread_.join();
  while (worker::native_functions_left_running() > 0) std::this_thread::yield();  // they use what tests own
  peers_.clear();
  stream_.reset();
  listener_.reset();
}

std::size_t MiniWorker::held() {
  std::size_t count = 0;
  on_loop(loop_, [&] { count = store_.size(); });
  return count;
}

std::size_t MiniWorker::fetched() {
  std::size_t count = 0;
  on_loop(loop_, [&] { count = fetched_; });
  return count;
}

void MiniWorker::connected(net::CommPtr comm) {
  stream_ = std::move(comm);
  stream_->on_message([this](wire::Frames frames) { receive(frames); });
  stream_->on_closed([this](Error) {});
  listener_ = *net::listen(loop_, *net::parse_address("tcp://127.0.0.1:0"), [this](net::CommPtr peer) {
    net::Comm* raw = peer.get();
    peer->on_message([this, raw](wire::Frames frames) { answer(*raw, frames); });
    peer->on_closed([](Error) {});
    peers_.push_back(std::move(peer));
  });
  const double now = clock_.wall();
  stream_->send(wire::encode_message(Value(Value::Map{
      {"op", "register-worker"},
      {"reply", false},
      {"address", listener_->address()},
      {"status", "running"},
      {"nthreads", nthreads_},
      {"name", "mini"},
      {"now", now},
      {"resources", Value::map()},
      {"memory_limit", 1 << 30},
      {"local_directory", "/tmp"},
      {"services", Value::map()},
      {"nanny", Value()},
      {"pid", getpid()},
      {"versions", Value::map()},
      {"metrics", Value(Value::Map{{"memory", 1000}, {"cpu", 0.0}, {"time", now}})},
      {"extra", worker::native_registration()},
      {"stimulus_id", "mini"},
      {"server_id", "mini-worker"},
  })));
}

void MiniWorker::receive(const wire::Frames& frames) {
  const auto message = wire::decode_message(frames);
  ASSERT_TRUE(message);
  if (!registered_) {
    ASSERT_EQ((*message)["status"].as_string(), "OK") << message->repr();
    registered_ = true;
    return running_.set_value();
  }
  if (const Value::Array* all = message->array_if())
    for (const Value& one : *all) operation(one);
}

void MiniWorker::operation(const Value& message) {
  const std::string_view op = message["op"].as_string();
  if (op == worker::kComputeTasksNative) return compute(message);
  if (op == "free-keys" || op == "remove-replicas")
    for (const Value& key : *message["keys"].array_if()) store_.erase(std::string(Key::from_value(key)->msgpack()));
}

void MiniWorker::compute(const Value& message) {
  const auto batch = worker::decode_compute_batch(message["batch"].bytes()->view());
  ASSERT_TRUE(batch) << batch.error().message;
  for (const worker::ComputeTask& task : batch->tasks) {
    const auto& spec = std::get<worker::NativeRunSpec>(task.run_spec);
    worker::NativeTask native{task.key, task.run_id, spec.function, spec.args, {}, {}};
    for (const worker::Dependency& dependency : task.dependencies)
      native.inputs.push_back({store_.at(std::string(dependency.key.msgpack())), nullptr});
    asked_[std::string(task.key.msgpack())] = {spec.handle, spec.inline_bytes_max};
    pool_->execute(std::move(native));
  }
}

void MiniWorker::executed(std::vector<worker::NativeExecuted> done) {
  worker::NativeAnswers answers;
  for (worker::NativeExecuted& one : done) {
    const std::string key(one.key.msgpack());
    if (one.result) {
      const std::string value = small_results_come_along_ ? native::to_inline(*one.result, asked_[key].inline_bytes_max) : std::string();
      answers.finished({asked_[key].handle, one.key, one.run_id, one.nbytes, one.start, one.stop, std::string(one.result->type_name())},
                       value);
      store_[key] = *std::move(one.result);
    } else {
      auto failure = std::make_shared<worker::Failure>();
      failure->exception_text = one.result.error().text();
      answers.erred({asked_[key].handle, one.key, one.run_id, one.start, one.stop, std::move(failure)});
    }
  }
  wire::BatchWriter batch;
  answers.write(batch);
  if (!batch.empty()) stream_->send(batch.take());
}

void MiniWorker::answer(net::Comm& comm, const wire::Frames& frames) {
  const auto message = wire::decode_message(frames);
  if (!message || !message->is_map()) return;  // "OK" after get_data
  const std::string_view op = (*message)["op"].as_string();
  Value reply = Value::map();
  if (op == "get_data") {
    Value::Map data;
    for (const Value& key : *(*message)["keys"].array_if())
      if (const auto it = store_.find(std::string(Key::from_value(key)->msgpack())); it != store_.end())
        data.emplace_back(key, Value(*native::to_node(it->second))), ++fetched_;
    reply = Value(Value::Map{{"status", "OK"}, {"data", Value(std::move(data))}});
  } else if (op == "update_data") {
    Value::Map sizes;
    for (const auto& [key, node] : *(*message)["data"].map_if()) {
      const auto value = native::from_node(*node.opaque());
      store_[std::string(Key::from_value(key)->msgpack())] = *value;
      sizes.emplace_back(key, value->nbytes());
    }
    reply = Value(Value::Map{{"status", "OK"}, {"nbytes", Value(std::move(sizes))}});
  }
  comm.send(wire::encode_message(reply));
}

}  // namespace dask::client_test
