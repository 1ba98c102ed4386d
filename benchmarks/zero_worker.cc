#include "benchmarks/zero_worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "benchmarks/native_batch.h"
#include "core/runtime/clock.h"

namespace dask::benchmarks {
namespace {

using namespace std::string_view_literals;

// pickle.dumps(int)
constexpr std::string_view kIntPickle =
    "\x80\x04\x95\x14\0\0\0\0\0\0\0\x8c\x08"
    "builtins\x94\x8c\x03int\x94\x93\x94."sv;
// The one result: 42, and the header of Dask's Serialize around its pickle.
constexpr std::string_view kResultPickle = "\x80\x03K*."sv;
constexpr double kComputeSeconds = 10e-6;
constexpr std::int64_t kResultBytes = 20;
constexpr double kSilenceSecondsMax = 3600;

Value map(std::initializer_list<std::pair<const char*, Value>> items) {
  Value::Map m;
  for (const auto& [name, value] : items) m.emplace_back(name, value);
  return Value(std::move(m));
}

double wall_seconds() { return SystemClock().wall(); }

OpaquePtr the_result() {
  static const OpaquePtr result = [] {
    const Value header = map({{"serializer", "pickle"},
                              {"writeable", Value::array()},
                              {"split-num-sub-frames", Value(Value::Array{1})},
                              {"split-offsets", Value(Value::Array{0})},
                              {"compression", Value(Value::Array{Value()})},
                              {"num-sub-frames", 1}});
    auto node = std::make_shared<Opaque>();
    node->header = Bytes::own(wire::encode_msgpack(header));
    node->frames.push_back(Bytes::literal(kResultPickle));
    return OpaquePtr(node);
  }();
  return result;
}

// What does not change between two task-finished messages, as msgpack, cut where the key, the run_id and the times stand.
struct Template {
  std::string before_key, before_start, before_stop, after_stop;
};

const Template& finished_template() {
  static const Template made = [] {
    Template t;
    wire::Packer p;
    p.map(11);
    p.string("op"), p.string("task-finished");
    p.string("status"), p.string("OK");
    p.string("nbytes"), p.integer(kResultBytes);
    p.string("type"), p.binary(kIntPickle);
    p.string("typename"), p.string("int");
    p.string("metadata"), p.map(0);
    p.string("thread"), p.integer(1);
    p.string("stimulus_id"), p.string("zero-worker");
    p.string("startstops"), p.array(1), p.map(3), p.string("action"), p.string("compute"), p.string("start");
    t.before_start = std::exchange(p.out(), {});
    p.string("stop");
    t.before_stop = std::exchange(p.out(), {});
    p.string("key");
    t.before_key = std::exchange(p.out(), {});
    return t;
  }();
  return made;
}

Value metrics(double now, std::size_t keys) {
  return map({{"task_counts", map({{"memory", static_cast<std::int64_t>(keys)}})},
              {"bandwidth", map({{"total", 100'000'000}, {"workers", Value::map()}, {"types", Value::map()}})},
              {"digests_total_since_heartbeat", Value::map()},
              {"managed_bytes", static_cast<std::int64_t>(keys) * kResultBytes},
              {"spilled_bytes", map({{"memory", 0}, {"disk", 0}})},
              {"transfer", map({{"incoming_bytes", 0},
                                {"incoming_count", 0},
                                {"incoming_count_total", 0},
                                {"outgoing_bytes", 0},
                                {"outgoing_count", 0},
                                {"outgoing_count_total", 0}})},
              {"event_loop_interval", 0.02},
              {"cpu", 0.0},
              {"memory", 100'000'000},
              {"time", now},
              {"host_net_io", map({{"read_bps", 0.0}, {"write_bps", 0.0}})},
              {"host_disk_io", map({{"read_bps", 0.0}, {"write_bps", 0.0}})},
              {"num_fds", 20}});
}

}  // namespace

ZeroWorker::ZeroWorker(net::Loop& loop, net::RpcPool& rpc, Totals& totals, ZeroWorkerOptions options)
    : loop_(loop), rpc_(rpc), totals_(totals), options_(std::move(options)) {}

void ZeroWorker::start(std::function<void(Result<void>)> registered, std::function<void(std::string)> gone) {
  registered_ = std::move(registered);
  gone_ = std::move(gone);
  auto address = net::parse_address(options_.scheduler);
  if (!address) return registered_(fail(address.error()));
  net::connect(loop_, *address, [this](Result<net::CommPtr> comm) {
    if (!comm) return registered_(fail(comm.error()));
    connected(*std::move(comm));
  });
}

void ZeroWorker::connected(net::CommPtr comm) {
  stream_ = std::move(comm);
  stream_->on_message([this](wire::Frames frames) { on_registered(frames); });
  stream_->on_closed([this](Error error) { end(error.message); });
  // The interface that reaches the scheduler is the one that it can reach us by.
  auto host = net::parse_address(stream_->local_address());
  if (!host) return end(host.error().message);
  host->port = 0;
  auto listener = net::listen(loop_, *host, [this](net::CommPtr peer) { serve(std::move(peer)); });
  if (!listener) return end(listener.error().message);
  listener_ = *std::move(listener);
  address_ = listener_->address();

  const double now = wall_seconds();
  const Value m = map({{"op", "register-worker"},
                       {"reply", false},
                       {"address", address_},
                       {"status", "init"},
                       {"nthreads", options_.nthreads},
                       {"name", options_.name},
                       {"now", now},
                       {"resources", Value::map()},
                       {"memory_limit", options_.memory_limit_bytes},
                       {"local_directory", "/tmp"},
                       {"services", Value::map()},
                       {"nanny", Value()},
                       {"pid", ::getpid()},
                       {"versions", options_.versions},
                       {"metrics", metrics(now, 0)},
                       {"extra", options_.native ? map({{"dask-native", map({{"version", 1}})}}) : Value::map()},
                       {"stimulus_id", fmt::format("worker-connect-{}", now)},
                       {"server_id", fmt::format("Worker-zero-{}-{}", ::getpid(), options_.name)}});
  stream_->send(wire::encode_message(m));
}

void ZeroWorker::on_registered(const wire::Frames& frames) {
  if (!registered_) return on_stream(frames);
  auto reply = wire::decode_message(frames);
  if (!reply) return end(reply.error().message);
  if ((*reply)["status"].as_string() != "OK")
    return end(fmt::format("the scheduler refused worker {}: {}", options_.name, (*reply)["message"].as_string("no reason given")));
  out_.begin().value(map({{"op", "worker-status-change"}, {"status", "running"}, {"stimulus_id", "zero-worker-start"}}));
  stream_->send(out_.take());
  schedule_heartbeat((*reply)["heartbeat-interval"].as_double(1));
  std::exchange(registered_, nullptr)({});
}

void ZeroWorker::on_stream(const wire::Frames& frames) {
  if (frames.empty()) return;
  now_ = wall_seconds();
  ++totals_.messages;
  StreamScan scan(frames[0].view());
  StreamOp op;
  bool good = true;
  while (good && scan.next(op)) good = apply(op);
  if (!out_.empty()) stream_->send(out_.take());
  if (!good || scan.broken()) end("the scheduler sent a message that a worker cannot read");
}

bool ZeroWorker::apply(const StreamOp& op) {
  if (op.op == "compute-task") return finish(op);
  if (op.op == "free-keys" || op.op == "remove-replicas") return drop(op.keys);
  if (op.op == "compute-tasks-native") return finish_native(op);
  if (op.op == "acquire-replicas") return fetch(op.who_has);
  if (op.op == "steal-request") {
    // Nothing ever waits here: what was computed is in memory, anything else was freed.
    auto& m = out_.begin();
    m.map(4);
    m.string("op"), m.string("steal-response");
    m.string("key"), m.raw(op.key);
    m.string("stimulus_id"), m.string(op.stimulus_id);
    m.string("state");
    if (held_.find(op.key) != held_.end())
      m.string("memory");
    else
      m.nil();
    return true;
  }
  if (op.op == "close" || op.op == "close-stream")
    loop_.post([this, why = std::string(op.reason)] { end("the scheduler asked to close: " + why); });
  return true;
}

bool ZeroWorker::finish(const StreamOp& op) {
  if (op.key.empty()) return false;
  if (!op.who_has.empty() && !fetch(op.who_has)) return false;
  if (held_.find(op.key) == held_.end()) held_.emplace(op.key);
  const Template& t = finished_template();
  auto& m = out_.begin();
  m.raw(t.before_start), m.real(now_ - kComputeSeconds);
  m.raw(t.before_stop), m.real(now_);
  m.raw(t.before_key), m.raw(op.key);
  ++totals_.tasks;
  m.string("run_id"), m.integer(op.run_id);
  return true;
}

bool ZeroWorker::finish_native(const StreamOp& op) {
  std::string fetched;
  std::size_t count = 0;
  NativeAnswer answer = finish_batch(
      op.batch, now_,
      [&](std::string_view key) {
        if (held_.find(key) != held_.end()) return;
        held_.emplace(key);
        fetched.append(key);
        ++count;
      },
      [&](std::string_view key) {
        if (held_.find(key) == held_.end()) held_.emplace(key);
      });
  if (!answer.valid) return false;
  if (count > 0) {
    auto& m = out_.begin();
    m.map(3);
    m.string("op"), m.string("add-keys"), m.string("stimulus_id"), m.string("zero-worker");
    m.string("keys"), m.array(count), m.raw(fetched);
    totals_.transfers += count;
  }
  auto& m = out_.begin();
  m.map(2);
  m.string("op"), m.string("tasks-finished-native"), m.string("batch"), m.binary(answer.finished);
  totals_.native_tasks += answer.tasks;
  return true;
}

// Everything in `who_has` that is not here yet has been transferred.
bool ZeroWorker::fetch(std::string_view who_has) {
  std::string fetched;
  std::size_t count = 0;
  const bool good = for_each_map_key(who_has, [&](std::string_view key) {
    if (held_.find(key) != held_.end()) return;
    held_.emplace(key);
    fetched.append(key);
    ++count;
  });
  if (!good || count == 0) return good;
  totals_.transfers += count;
  auto& m = out_.begin();
  m.map(3);
  m.string("op"), m.string("add-keys"), m.string("stimulus_id"), m.string("zero-worker");
  m.string("keys"), m.array(count), m.raw(fetched);
  return true;
}

bool ZeroWorker::drop(std::string_view keys) {
  return for_each_key(keys, [&](std::string_view key) {
    auto it = held_.find(key);
    if (it == held_.end()) return;
    held_.erase(it);
    auto& m = out_.begin();
    m.map(3);
    m.string("op"), m.string("release-worker-data"), m.string("key"), m.raw(key), m.string("stimulus_id"), m.string("zero-worker");
  });
}

void ZeroWorker::serve(net::CommPtr comm) {
  net::Comm* peer = comm.get();
  comm->on_message([this, peer](wire::Frames frames) { answer(*peer, frames); });
  comm->on_closed([this, peer](Error) { loop_.post([this, peer] { peers_.erase(peer->shared_from_this()); }); });
  peers_.insert(std::move(comm));
}

void ZeroWorker::answer(net::Comm& comm, const wire::Frames& frames) {
  auto message = wire::decode_message(frames);
  if (!message) {
    comm.close();
    loop_.post([this, &comm] { peers_.erase(comm.shared_from_this()); });
    return;
  }
  if (!message->is_map()) return;  // "OK": the requester has the data
  const std::string_view op = (*message)["op"].as_string();
  Value reply;
  if (op == "get_data") {
    Value::Map data;
    if (const auto* keys = (*message)["keys"].array_if())
      for (const Value& key : *keys) data.emplace_back(key, Value(the_result()));
    reply = map({{"status", "OK"}, {"data", Value(std::move(data))}});
  } else if (op == "ping") {
    reply = Value(Bytes::literal("pong"));
  } else if (op == "versions") {
    reply = options_.versions;
  }
  if ((*message)["reply"].is_nil() || (*message)["reply"].as_bool()) comm.send(wire::encode_message(reply));
}

void ZeroWorker::schedule_heartbeat(double seconds) {
  if (!(seconds >= 0.01 && seconds <= kSilenceSecondsMax)) seconds = 1;
  heartbeat_timer_ = loop_.after(std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)), [this] { heartbeat(); });
}

void ZeroWorker::heartbeat() {
  const double now = wall_seconds();
  Value m = map({{"op", "heartbeat_worker"},
                 {"address", address_},
                 {"now", now},
                 {"metrics", metrics(now, held_.size())},
                 {"executing", Value::map()},
                 {"extensions", Value::map()}});
  rpc_.call(options_.scheduler, std::move(m), [this](Result<Value> reply) {
    if (!stream_) return;
    if (reply && (*reply)["status"].as_string() == "missing") return end("the scheduler does not know this worker any more");
    schedule_heartbeat(reply ? (*reply)["heartbeat-interval"].as_double(1) : 1);
  });
}

void ZeroWorker::close() {
  heartbeat_timer_.cancel();
  if (listener_) listener_->close();
  for (const auto& peer : peers_) peer->close();
  if (stream_) std::exchange(stream_, nullptr)->close();
}

void ZeroWorker::end(const std::string& why) {
  if (!stream_) return;
  loop_.post([this, why] {
    if (!stream_) return;
    close();
    if (registered_) return std::exchange(registered_, nullptr)(fail(ErrorCode::kUnavailable, why));
    if (gone_) std::exchange(gone_, nullptr)(why);
  });
}

}  // namespace dask::benchmarks
