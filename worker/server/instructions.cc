// The machine's instructions become messages, tasks for the executor, requests to peers; their outcomes become events.
#include <algorithm>

#include "core/native/inline_value.h"
#include "core/runtime/log.h"
#include "core/wire/pickle.h"
#include "worker/server/worker.h"

namespace dask::worker {
namespace {

constexpr auto kBusyWait = std::chrono::milliseconds(150);  // Dask's
constexpr double kDiskReadNoted = 0.005;                    // Dask reports waiting for the disk from here on
constexpr double kBandwidthBytesMin = 1e6;                  // smaller transfers say little of the network

void write_startstops(wire::MessageWriter& w, const std::vector<StartStop>& startstops) {
  w.string("startstops");
  w.array(startstops.size());
  for (const StartStop& one : startstops) {
    w.map(3);
    w.string("action");
    w.string(one.action);
    w.string("start");
    w.real(one.start);
    w.string("stop");
    w.real(one.stop);
  }
}

FailurePtr failure_of(PythonFailure failure) {
  auto out = std::make_shared<Failure>();
  out->exception = Value(std::move(failure.exception));
  if (failure.traceback) out->traceback = Value(*std::move(failure.traceback));
  out->exception_text = std::move(failure.exception_text);
  out->traceback_text = std::move(failure.traceback_text);
  return out;
}

}  // namespace

FailurePtr failure_with(std::string_view cls, const std::string& text) {
  const std::size_t dot = cls.rfind('.');
  auto failure = std::make_shared<Failure>();
  failure->exception = Value(Bytes::own(wire::pickle_exception(cls.substr(0, dot), cls.substr(dot + 1), text)));
  failure->exception_text = std::string(cls.substr(dot + 1)) + "(" + Value(text).repr() + ")";
  return failure;
}

void Worker::apply(Event event, std::string stimulus_id) {
  events_.emplace_back(std::move(event), std::move(stimulus_id));
  if (std::exchange(applying_, true)) return;
  while (!events_.empty()) {
    auto [next, stimulus_of_next] = std::move(events_.front());
    events_.pop_front();
    carry_out(machine_.handle(std::move(next), now(), stimulus_of_next));
    if (options_.validate)
      if (const std::string wrong = machine_.validate(); !wrong.empty()) log_error("Invalid worker state: {}", wrong);
  }
  applying_ = false;
}

void Worker::carry_out(const Instructions& instructions) {
  for (const Instruction& instruction : instructions) {
    if (const auto* finished = std::get_if<TaskFinishedMsg>(&instruction)) {
      send(*finished);
    } else if (const auto* execute = std::get_if<Execute>(&instruction)) {
      instruct(*execute);
    } else if (const auto* native = std::get_if<NativeTaskFinishedMsg>(&instruction)) {
      // Not what is on disk or came from Python: the client fetches it in the usual way.
      const std::string value = native->inline_bytes_max == 0
                                    ? std::string()
                                    : native::to_inline(store_->native_input(native->key).value, native->inline_bytes_max);
      link_->native_answers().finished(*native, value);
    } else if (const auto* native_erred = std::get_if<NativeTaskErredMsg>(&instruction)) {
      link_->native_answers().erred(*native_erred);
    } else if (const auto* gather = std::get_if<GatherDep>(&instruction)) {
      instruct(*gather);
    } else if (const auto* drop = std::get_if<DropData>(&instruction)) {
      store_->drop(drop->key);
    } else if (const auto* released = std::get_if<ReleaseWorkerDataMsg>(&instruction)) {
      link_->release_worker_data(released->key, released->stimulus_id);
    } else if (const auto* added = std::get_if<AddKeysMsg>(&instruction)) {
      link_->add_keys(added->keys, added->stimulus_id);
    } else if (const auto* erred = std::get_if<TaskErredMsg>(&instruction)) {
      send(*erred);
    } else if (const auto* long_running = std::get_if<LongRunningMsg>(&instruction)) {
      const double duration = long_running->compute_duration;
      link_->message(Value(Value::Map{{"op", "long-running"},
                                      {"key", long_running->key.value()},
                                      {"run_id", long_running->run_id},
                                      {"compute_duration", duration >= 0 ? Value(duration) : Value()},
                                      {"stimulus_id", long_running->stimulus_id}}));
    } else if (const auto* reschedule = std::get_if<RescheduleMsg>(&instruction)) {
      link_->message(Value(Value::Map{{"op", "reschedule"}, {"key", reschedule->key.value()}, {"stimulus_id", reschedule->stimulus_id}}));
    } else if (const auto* refresh = std::get_if<RequestRefreshWhoHasMsg>(&instruction)) {
      Value::Array keys;
      for (const Key& key : refresh->keys) keys.push_back(key.value());
      link_->message(
          Value(Value::Map{{"op", "request-refresh-who-has"}, {"keys", Value(std::move(keys))}, {"stimulus_id", refresh->stimulus_id}}));
    } else if (const auto* steal = std::get_if<StealResponseMsg>(&instruction)) {
      link_->message(Value(Value::Map{{"op", "steal-response"},
                                      {"key", steal->key.value()},
                                      {"state", steal->state.empty() ? Value() : Value(steal->state)},
                                      {"stimulus_id", steal->stimulus_id}}));
    } else if (const auto* later = std::get_if<RetryBusyWorkerLater>(&instruction)) {
      const std::uint64_t id = next_busy_timer_++;
      busy_timers_[id] = loop_.after(kBusyWait, [this, id, peer = later->worker] {
        // The timer holds this function: it goes last.
        const net::Loop::Timer self = std::move(busy_timers_[id]);
        busy_timers_.erase(id);
        apply(RetryBusyWorker{peer}, stimulus("retry-busy-worker"));
      });
    } else if (const auto* refuse = std::get_if<RefuseData>(&instruction)) {
      refused_data_.emplace_back(refuse->key, refuse->reason);
    } else if (const auto* notify = std::get_if<NotifyTransition>(&instruction)) {
      executor_->transition(notify->key, name_of(notify->start), name_of(notify->finish));
    } else if (const auto* warning = std::get_if<Warn>(&instruction)) {
      log_warning("{}", warning->text);
    } else if (const auto* leave = std::get_if<CloseWorker>(&instruction)) {
      log_error("{}\n{}", leave->reason, leave->story);
      log_event("invalid-worker-transition", Value(Value::Map{{"worker", address_}, {"reason", leave->reason}, {"story", leave->story}}));
      loop_.post([this, alive = alive_, reason = leave->reason] {
        if (*alive) close("worker-fail-hard: " + reason, true);
      });
    }
  }
}

void Worker::send(const TaskFinishedMsg& msg) {
  wire::MessageWriter& w = link_->begin();
  w.map(11);
  w.string("op");
  w.string("task-finished");
  w.string("status");
  w.string("OK");
  w.string("key");
  w.raw(msg.key.msgpack());
  w.string("run_id");
  w.integer(msg.run_id);
  w.string("nbytes");
  w.integer(msg.nbytes);
  w.string("type");
  w.value(msg.type);
  w.string("typename");
  w.string(msg.typename_);
  w.string("metadata");
  w.value(msg.metadata.is_nil() ? Value::map() : msg.metadata);
  w.string("thread");
  w.value(msg.thread);
  write_startstops(w, msg.startstops);
  w.string("stimulus_id");
  w.string(msg.stimulus_id);
}

void Worker::send(const TaskErredMsg& msg) {
  wire::MessageWriter& w = link_->begin();
  w.map(11);
  w.string("op");
  w.string("task-erred");
  w.string("status");
  w.string("error");
  w.string("key");
  w.raw(msg.key.msgpack());
  w.string("run_id");
  w.integer(msg.run_id);
  w.string("exception");
  w.value(msg.exception);
  w.string("traceback");
  w.value(msg.traceback);
  w.string("exception_text");
  w.string(msg.exception_text);
  w.string("traceback_text");
  w.string(msg.traceback_text);
  w.string("thread");
  w.value(msg.thread);
  write_startstops(w, msg.startstops);
  w.string("stimulus_id");
  w.string(msg.stimulus_id);
}

// ---- running tasks ----

void Worker::instruct(const Execute& execute) {
  const Task* ts = machine_.find(execute.key);
  if (!ts) return;  // the machine forgets no task that it has just told to run
  if (const auto* native = std::get_if<NativeRunSpec>(&ts->run_spec)) return execute_native(*ts, *native, execute.run_id);
  const auto* python = std::get_if<PythonRunSpec>(&ts->run_spec);
  if (!python) return execute_failed(execute.key, execute.run_id, "builtins.RuntimeError", "the task has nothing to run");
  PythonTask task;
  task.key = ts->key;
  task.run_id = execute.run_id;
  task.run_spec = python->run_spec;
  task.actor = ts->actor;
  task.annotations = ts->annotations;
  task.span_id = ts->span_id;
  std::vector<Key> inputs;
  inputs.reserve(ts->dependencies.size());
  for (const Task* dependency : ts->dependencies) inputs.push_back(dependency->key);
  const double since = now();
  Running& running = running_[ts->key];
  running = {since, ts->span_id, {}};
  store_->inputs(std::move(inputs), [this, alive = alive_, since, task = std::move(task)](Result<std::vector<PythonInput>> got) mutable {
    if (!*alive) return;
    if (!got) return execute_failed(task.key, task.run_id, "builtins.KeyError", got.error().message);
    if (const double end = now(); end - since > kDiskReadNoted)
      running_[task.key].startstops.push_back({"disk-read", since + scheduler_delay_, end + scheduler_delay_});
    task.inputs = *std::move(got);
    executor_->execute(std::move(task));
  });
}

void Worker::execute_failed(const Key& key, std::int64_t run_id, const std::string& cls, const std::string& text) {
  running_.erase(key);
  log_error("Exception during execution of task {}: {}", key.repr(), text);
  ExecuteFailure failed;
  failed.key = key;
  failed.run_id = run_id;
  failed.failure = failure_with(cls, text);
  apply(std::move(failed), stimulus("execute-unknown-error"));
}

void Worker::executed(PythonExecuted done) {
  Running running;
  if (auto it = running_.find(done.key); it != running_.end()) {
    running = std::move(it->second);
    running_.erase(it);
  }
  const std::string prefix = done.metrics.empty() ? std::string() : key_split(done.key.msgpack());
  for (PythonMetric& metric : done.metrics)
    digests_.add(Value(Value::Array{"execute", running.span_id.empty() ? Value() : Value(running.span_id), prefix, std::move(metric.label),
                                    metric.unit}),
                 metric.value);
  for (StartStop& one : done.startstops) {
    one.start += scheduler_delay_;
    one.stop += scheduler_delay_;
    running.startstops.push_back(std::move(one));
  }
  const bool ran = done.start != 0 || done.stop != 0;
  const double start = ran ? done.start + scheduler_delay_ : 0, stop = ran ? done.stop + scheduler_delay_ : 0;
  if (done.outcome == PythonExecuted::Outcome::kReschedule) return apply(Reschedule{std::move(done.key)}, stimulus("reschedule"));
  if (done.outcome == PythonExecuted::Outcome::kFailure) {
    ExecuteFailure failed;
    failed.key = std::move(done.key);
    failed.run_id = done.run_id;
    failed.start = start;
    failed.stop = stop;
    failed.failure = failure_of(std::move(done.failure));
    failed.thread = Value(done.thread);
    failed.startstops = std::move(running.startstops);
    return apply(std::move(failed), stimulus("task-erred"));
  }
  store_->add_live(done.key, done.nbytes, done.actor);
  ExecuteSuccess success;
  success.key = std::move(done.key);
  success.run_id = done.run_id;
  success.start = start;
  success.stop = stop;
  success.nbytes = done.nbytes;
  success.type = Value(std::move(done.type));
  success.typename_ = std::move(done.typename_);
  success.thread = Value(done.thread);
  success.metadata = std::move(done.metadata);
  success.startstops = std::move(running.startstops);
  apply(std::move(success), stimulus("task-finished"));
}

// ---- fetching inputs ----

void Worker::instruct(const GatherDep& gather) {
  incoming_.get_data(gather.worker, gather.to_gather,
                     [this, alive = alive_, peer = gather.worker, keys = gather.to_gather, start = now()](Gathered got) {
                       if (*alive) gathered(peer, keys, start, std::move(got));
                     });
}

void Worker::store_received(const Key& key, OpaquePtr data, std::int64_t nbytes) {
  const bool here = std::none_of(data->frames.begin(), data->frames.end(), [](const Bytes& frame) { return frame.source(); });
  if (here) return store_->add_frames(key, std::move(data), nbytes);
  store_->add_received(key, data, nbytes);
  executor_->put({{key, std::move(data)}});
}

void Worker::gathered(const std::string& peer, const std::vector<Key>& keys, double start, Gathered got) {
  switch (got.outcome) {
    case Gathered::Outcome::kBusy: return apply(GatherDepBusy{peer}, stimulus("gather-dep-busy"));
    case Gathered::Outcome::kNetworkFailure:
      if (!end_) log_warning("Worker stream died during communication: {}: {}", peer, got.text);
      return apply(GatherDepNetworkFailure{peer}, stimulus("gather-dep-network-failure"));
    case Gathered::Outcome::kFailure:
      log_error("{} keys could not be fetched from {}: {}", keys.size(), peer, got.text);
      return apply(GatherDepFailure{peer, failure_with("builtins.RuntimeError", got.text)}, stimulus("gather-dep-failed"));
    case Gathered::Outcome::kOk: break;
  }
  GatherDepSuccess success;
  success.worker = peer;
  const double stop = now();
  success.start = start + scheduler_delay_;
  success.stop = stop + scheduler_delay_;
  double total = 0;
  for (auto& [key, data] : got.data) {
    const Task* ts = machine_.find(key);
    std::int64_t nbytes = ts ? ts->nbytes : -1;
    if (nbytes < 0) {
      nbytes = 0;
      for (const Bytes& frame : data->frames) nbytes += static_cast<std::int64_t>(frame.size());
    }
    total += static_cast<double>(nbytes);
    // The task's own copy of its name: it is found again without comparing letters, and its bytes are kept once.
    const Key& own = ts ? ts->key : key;
    store_received(own, std::move(data), nbytes);
    success.data.push_back({own, nbytes, Value(), ""});
  }
  for (auto& [key, text] : got.unserialised) success.failed.emplace_back(key, failure_with("builtins.TypeError", text));
  const double duration = std::max(0.001, stop - start);
  if (total > kBandwidthBytesMin) {
    bandwidth_ = bandwidth_ * 0.95 + total / duration * 0.05;
    auto& [sum, count] = bandwidth_workers_[peer];
    sum += total / duration;
    ++count;
  }
  apply(std::move(success), stimulus("gather-dep-success"));
}

}  // namespace dask::worker
