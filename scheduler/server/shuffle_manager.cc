#include "scheduler/server/shuffle_manager.h"

#include <chrono>

#include "core/runtime/log.h"
#include "core/wire/message.h"
#include "core/wire/pickle.h"
#include "scheduler/server/broadcast.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

constexpr std::string_view kConsistencyError = "P2PConsistencyError";
constexpr std::string_view kIllegalState = "distributed.shuffle._exceptions.P2PIllegalStateError";
constexpr auto kBarrierRetry = std::chrono::milliseconds(100);
constexpr int kBarrierNoProgressMax = 3;  // rounds in which no further worker could be reached

// What Python pickled, as a message carries it: a ToPickle.
Value pickled(std::string pickle) {
  auto node = std::make_shared<Opaque>();
  node->kind = Opaque::Kind::kPickled;
  node->header = Bytes::own(wire::encode_msgpack(Value(
      Value::Map{{"pickled-obj", Value(Bytes::own(std::move(pickle)))}, {"num-sub-frames", Value(0)}, {"compression", Value::array()}})));
  return Value(OpaquePtr(std::move(node)));
}

Value run_spec_of(const ShuffleRun& run) {
  wire::ShuffleRunFields fields{run.run_id, run.spec->pickle.view(), run.workers, {}};
  fields.worker_of.reserve(run.worker_of.size());
  for_each_output(*run.spec, [&](const std::vector<std::int64_t>& at, std::int64_t) {
    Value id = run.spec->chunks ? Value::array() : Value(at.front());
    if (run.spec->chunks)
      for (std::int64_t index : at) id.push_back(Value(index));
    fields.worker_of.emplace_back(std::move(id), run.worker_of[fields.worker_of.size()]);
  });
  return pickled(wire::pickle_shuffle_run_spec(fields));
}

void answer_error(RpcCall& call, const Error& error) {
  if (error.code == ErrorCode::kUnsupported) return call.raise("builtins.NotImplementedError", error.message);
  if (error.code == ErrorCode::kNotFound) return call.raise("builtins.KeyError", error.message);
  call.reply(wire::error_message("distributed.shuffle._exceptions", kConsistencyError, error.message, "error"));
}

}  // namespace

// ---- what the machine and the server tell ----

void ShuffleManager::on(const BarrierStopped& action, const std::string& stimulus_id) {
  shuffles_.barrier_stopped(server_.state().task(action.barrier.index), action.state, stimulus_id, effects_);
  tell();
}

void ShuffleManager::on(const ShuffleTaskErred& action, const std::string& stimulus_id) {
  shuffles_.task_erred(server_.state().task(action.barrier.index), stimulus_id, effects_);
  tell();
}

void ShuffleManager::worker_left(const std::string& address, const std::string& stimulus_id) {
  shuffles_.worker_left(address, stimulus_id, effects_);
  carry_out(stimulus_id);
}

void ShuffleManager::clear() {
  shuffles_.clear();
  run_specs_.clear();
}

void ShuffleManager::tell() {
  for (const ShuffleEffects::Fail& failed : std::exchange(effects_.fails, {})) {
    run_specs_.erase(failed.shuffle);
    if (const Worker* ws = server_.state().find_worker(failed.worker))
      server_.send(
          ws->id,
          Value(Value::Map{{"op", "shuffle-fail"}, {"shuffle_id", failed.shuffle}, {"run_id", failed.run_id}, {"message", failed.text}}));
  }
  for (const Value& event : std::exchange(effects_.events, {})) server_.log_event({"p2p"}, event);
  for (const std::string& line : std::exchange(effects_.log, {})) log_warning("{}", line);
}

void ShuffleManager::carry_out(const std::string& stimulus_id) {
  tell();
  for (Key& barrier : std::exchange(effects_.ended, {})) server_.apply(ShuffleEnded{std::move(barrier)}, stimulus_id);
  for (Key& barrier : std::exchange(effects_.restarted, {})) server_.apply(ShuffleRestarted{std::move(barrier)}, stimulus_id);
}

// ---- operations ----

void ShuffleManager::answer(RpcCall& call, const Result<const ShuffleRun*>& run) {
  if (!run) return answer_error(call, run.error());
  auto& [run_id, run_spec] = run_specs_[(*run)->spec->id];
  if (run_id != (*run)->run_id) {
    run_id = (*run)->run_id;
    run_spec = run_spec_of(**run);
  }
  call.reply(Value(Value::Map{{"status", "OK"}, {"run_spec", run_spec}}));
}

void ShuffleManager::get(RpcCallPtr call) {
  answer(*call, shuffles_.get(std::string(call->msg["id"].as_string()), std::string(call->msg["worker"].as_string()), server_.state()));
}

void ShuffleManager::get_or_create(RpcCallPtr call) {
  auto key = Key::from_value(call->msg["key"]);
  if (!key) return call->raise("builtins.TypeError", "shuffle_get_or_create: key: " + key.error().message);
  const auto run = shuffles_.get_or_create(std::string(call->msg["shuffle_id"].as_string()), *key,
                                           std::string(call->msg["worker"].as_string()), server_.state(), effects_);
  tell();
  answer(*call, run);
}

void ShuffleManager::restrict_task(RpcCallPtr call) {
  const std::string shuffle(call->msg["id"].as_string()), worker(call->msg["worker"].as_string());
  auto key = Key::from_value(call->msg["key"]);
  if (!key) return call->raise("builtins.TypeError", "shuffle_restrict_task: key: " + key.error().message);
  if (auto current = shuffles_.check_run(shuffle, call->msg["run_id"].as_int()); !current) return answer_error(*call, current.error());
  if (!server_.state().find(key->msgpack())) return call->raise("builtins.KeyError", key->repr());
  server_.apply(ShuffleOutputBound{*std::move(key), worker}, server_.stimulus("shuffle-restrict-task"));
  call->reply(Value(Value::Map{{"status", "OK"}}));
}

// All inputs are in: tells every worker that takes part, and again those that could not be reached.
class ShuffleManager::Barrier : public std::enable_shared_from_this<Barrier> {
 public:
  Barrier(Server& server, const Shuffles& shuffles, RpcCallPtr call, const ShuffleRun& run)
      : server_(server),
        shuffles_(shuffles),
        call_(std::move(call)),
        shuffle_(run.spec->id),
        run_id_(run.run_id),
        name_(run.str()),
        workers_(run.participating.begin(), run.participating.end()) {}

  void send() {
    std::vector<std::pair<std::string, std::string>> peers;
    for (const std::string& worker : workers_) peers.emplace_back(worker, worker);
    const Value message(Value::Map{{"op", "shuffle_inputs_done"}, {"shuffle_id", shuffle_}, {"run_id", run_id_}, {"reply", true}});
    broadcast_to(server_, peers, message, [self = shared_from_this()](std::shared_ptr<Broadcast> all) { self->answered(*all); });
  }

 private:
  void answered(const Broadcast& all) {
    if (call_->answered()) return;
    for (const auto& [worker, answer] : all.results)
      if (!answer.is_nil())
        return call_->raise("builtins.RuntimeError", "Unexpected error encountered during P2P barrier: " +
                                                         std::string(answer["exception_text"].as_string(answer.repr())));
    if (all.errors.empty()) return call_->reply(Value());
    log_warning("Failure during broadcast of {}, retrying.", shuffle_);
    const bool progress = all.errors.size() < workers_.size();
    workers_.clear();
    for (const auto& [worker, error] : all.errors) {
      workers_.push_back(worker);
      if (server_.state().find_worker(worker)) continue;
      const ShuffleRun* run = shuffles_.active(shuffle_);
      if (run && run->run_id == run_id_)
        return call_->raise(kIllegalState, "Expected shuffle to be archived if participating worker is not known by scheduler");
      return call_->raise("builtins.RuntimeError", "Worker " + worker + " left during shuffle " + name_);
    }
    if (!progress && ++no_progress_ >= kBarrierNoProgressMax)
      return call_->raise("builtins.RuntimeError", "Broadcast not making progress for " + name_ +
                                                       ". Aborting. This is possibly due to overloaded workers. " +
                                                       "The last error: " + all.errors.begin()->second);
    timer_ = server_.loop().after(kBarrierRetry, [self = shared_from_this()] { self->send(); });
  }

  Server& server_;
  const Shuffles& shuffles_;
  RpcCallPtr call_;
  std::string shuffle_;
  std::int64_t run_id_;
  std::string name_;
  std::vector<std::string> workers_;
  int no_progress_ = 0;
  net::Loop::Timer timer_;
};

void ShuffleManager::barrier(RpcCallPtr call) {
  const std::string shuffle(call->msg["id"].as_string());
  const std::int64_t run_id = call->msg["run_id"].as_int();
  const ShuffleRun* run = shuffles_.active(shuffle);
  if (!run) return call->raise("builtins.KeyError", "'" + shuffle + "'");
  if (run->run_id != run_id)
    return call->raise("builtins.ValueError", "run_id=" + std::to_string(run_id) + " does not match " + run->str());
  if (call->msg["consistent"].as_bool()) return std::make_shared<Barrier>(server_, shuffles_, std::move(call), *run)->send();
  log_warning("Shuffle {} restarted due to data inconsistency during barrier", shuffle);
  const std::string stimulus_id = server_.stimulus("p2p-barrier-inconsistent");
  shuffles_.restart(shuffle, stimulus_id, effects_);
  carry_out(stimulus_id);
  call->reply(Value());
}

void add_shuffle_operations(RpcTable& table) {
  const auto add = [&](const char* op, void (ShuffleManager::*operation)(RpcCallPtr)) {
    table[op] = [operation](Server& server, RpcCallPtr call) { (server.shuffles().*operation)(std::move(call)); };
  };
  add("shuffle_get", &ShuffleManager::get);
  add("shuffle_get_or_create", &ShuffleManager::get_or_create);
  add("shuffle_restrict_task", &ShuffleManager::restrict_task);
  add("shuffle_barrier", &ShuffleManager::barrier);
}

}  // namespace dask::scheduler
