// How transitions are run: the stack of recommendations, and the steps that several transitions share.
#include "scheduler/machine/machine.h"

#include <algorithm>

namespace dask::scheduler {
namespace {

// dask.utils.format_bytes.
std::string format_bytes(std::int64_t n) {
  constexpr std::pair<const char*, double> kUnits[] = {{"PiB", 0x1p50}, {"TiB", 0x1p40}, {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"kiB", 0x1p10}};
  for (const auto& [unit, size] : kUnits)
    if (static_cast<double>(n) >= size * 0.9) return fmt::format("{:.2f} {}", static_cast<double>(n) / size, unit);
  return fmt::format("{} B", n);
}

}  // namespace

Machine::Machine(Settings settings) : state_(std::move(settings)) { fire_and_forget_ = state_.find_client("fire-and-forget")->id; }

const Actions& Machine::handle(Event event, double now, const std::string& stimulus_id) {
  state_.reap();
  actions_.clear();
  now_ = now;
  stimulus_id_ = &stimulus_id;
  std::visit([this](auto& e) { on(e); }, event);
  queue_slots_maybe_opened();
  return actions_;
}

ClientId Machine::client_named(const std::string& name) {
  if (const Client* cs = state_.find_client(name)) return cs->id;
  return state_.add_client(name, false).id;
}

// ---- recommendations ----

void Machine::recommend(Task& ts, TaskState finish) {
  if (ts.recommendation != UINT32_MAX) {
    TaskState& pending = recommendations_[ts.recommendation].finish;
    if (pending != TaskState::kForgotten) pending = finish;  // what is not needed does not become needed within one event
    return;
  }
  ts.recommendation = static_cast<std::uint32_t>(recommendations_.size());
  recommendations_.push_back({ts.slot, finish});
}

void Machine::recommend_by_priority(SmallVector<std::uint32_t, 8>& slots, TaskState finish) {
  if (slots.size() > 1)
    std::sort(slots.begin(), slots.end(), [this](std::uint32_t a, std::uint32_t b) {
      const Priority &pa = state_.task(a).priority, &pb = state_.task(b).priority;
      return pa != pb ? pa > pb : a > b;  // the last one is taken first from the stack
    });
  for (std::uint32_t slot : slots) recommend(state_.task(slot), finish);
}

TaskState Machine::take_recommendation(Task& ts, TaskState otherwise) {
  if (ts.recommendation == UINT32_MAX) return otherwise;
  Recommendation& r = recommendations_[ts.recommendation];
  ts.recommendation = UINT32_MAX;
  r.slot = UINT32_MAX;
  return r.finish;
}

void Machine::run_recommendations() {
  while (!recommendations_.empty()) {
    const Recommendation r = recommendations_.back();
    recommendations_.pop_back();
    if (r.slot == UINT32_MAX) continue;
    Task& ts = state_.task(r.slot);
    ts.recommendation = UINT32_MAX;
    transition(ts, r.finish);
  }
}

void Machine::transition(Task& ts, TaskState finish) {
  Cause none;
  transition(ts, finish, none);
}

void Machine::transition(Task& ts, TaskState finish, Cause& cause) {
  const TaskState start = ts.state;
  if (start == finish || start == TaskState::kForgotten) return;
  ++state_.transition_counter;
  if (TransitionFn fn = table()[static_cast<std::size_t>(start)][static_cast<std::size_t>(finish)]) {
    (this->*fn)(ts, cause);
    state_.log_transition(ts, start, ts.state, *stimulus_id_, now_);
    if (ts.p2p_barrier) note_shuffle(ts);
    return;
  }
  if (start != TaskState::kReleased && finish != TaskState::kReleased) {
    // Any other pair goes by way of released, whose own recommendation for the task, if any, wins over `finish`.
    transition(ts, TaskState::kReleased);
    const TaskState next = take_recommendation(ts, finish);
    if (TransitionFn fn = table()[static_cast<std::size_t>(TaskState::kReleased)][static_cast<std::size_t>(next)];
        fn && ts.state == TaskState::kReleased) {
      (this->*fn)(ts, cause);
      state_.log_transition(ts, TaskState::kReleased, ts.state, *stimulus_id_, now_);
      if (ts.p2p_barrier) note_shuffle(ts);
    }
    return;
  }
  say(Severity::kError, fmt::format("Impossible transition from {} to {} for {} ({}); ignored", name_of(start), name_of(finish),
                                    ts.key.repr(), *stimulus_id_));
}

// Gives queued tasks to workers whose slots (for native tasks: or windows) have opened. All other transitions of the event come first.
void Machine::queue_slots_maybe_opened() {
  run_recommendations();
  while (!state_.idle_task_count().empty() || !state_.native_window_open().empty()) {
    Task* ts = state_.queue_peek();
    if (!ts || (state_.idle_task_count().empty() && ts->spec != SpecKind::kNative)) return;
    transition(*ts, TaskState::kProcessing);
    run_recommendations();
    if (ts->state == TaskState::kQueued) return;
  }
}

// ---- steps that transitions share ----

void Machine::add_to_processing(Task& ts, Worker& ws) {
  state_.add_to_processing(ts, ws);
  state_.set_state(ts, TaskState::kProcessing);
  state_.acquire_resources(ts, ws);
  state_.check_idle_saturated(ws);
  ++state_.n_tasks_sent;
  if (ts.actor) ws.actors.insert(ts.slot);

  if (ws.memory_limit > 0 && state_.settings().memory_terminate) {
    std::int64_t input_bytes = 0;
    for (const Edge& edge : ts.dependencies) input_bytes += std::max<std::int64_t>(state_.task(edge.task).nbytes, 0);
    if (input_bytes > ws.memory_limit) {
      std::string text = fmt::format("Task {} has {} worth of input dependencies, but worker {} has memory_limit set to {}.", ts.key.repr(),
                                     format_bytes(input_bytes), ws.address, format_bytes(ws.memory_limit));
      if (ts.dependents.empty())
        text +=
            " It seems like you called client.compute() on a huge collection. Consider writing to distributed storage or slicing/reducing "
            "first.";
      say(Severity::kError, text);
      return fail(ts, make_failure("builtins.MemoryError", text), ws.address);
    }
  }
  send_compute(ts, ws.id);
}

Worker* Machine::exit_processing(Task& ts) {
  Worker& ws = state_.worker(ts.processing_on);
  state_.remove_from_processing(ts);
  if (!ws.present) return nullptr;
  state_.check_idle_saturated(ws);
  state_.release_resources(ts, ws);
  return &ws;
}

void Machine::release_dependency_if_unneeded(Task& dependency) {
  if (dependency.state == TaskState::kErred) return;  // releasing it would try it again
  if (dependency.waiters == 0 && dependency.who_wants.empty()) recommend(dependency, TaskState::kReleased);
}

void Machine::let_go_of_dependencies(Task& ts) {
  for (const Edge& edge : ts.dependencies) {
    Edge& mate = state_.mate_of_dependency(edge);
    if (!mate.flag) continue;
    Task& dependency = state_.task(edge.task);
    state_.set_waiter(dependency, mate, false);
    release_dependency_if_unneeded(dependency);
  }
}

void Machine::propagate_released(Task& ts) {
  state_.set_state(ts, TaskState::kReleased);
  if (ts.has_lost_dependencies) {
    recommend(ts, TaskState::kForgotten);
  } else if (is_wanted(ts)) {
    return recommend(ts, TaskState::kWaiting);
  }
  let_go_of_dependencies(ts);
  state_.clear_waiters(ts);
}

void Machine::propagate_erred(Task& ts, Cause& cause) {
  state_.set_state(ts, TaskState::kErred);
  TaskExtra& extra = state_.extra(ts);
  if (!cause.erred_on.empty() && std::find(extra.erred_on.begin(), extra.erred_on.end(), cause.erred_on) == extra.erred_on.end())
    extra.erred_on.push_back(cause.erred_on);
  if (cause.failure) extra.failure = cause.failure;
  if (cause.blame.valid()) extra.exception_blame = cause.blame;
  const TaskId blame = extra.exception_blame;
  if (blame == State::id_of(ts)) note_shuffle_failure(ts);
  for (const Edge& edge : ts.dependents) {
    if (!edge.flag) continue;
    Task& dependent = state_.task(edge.task);
    state_.extra(dependent).exception_blame = blame;
    recommend(dependent, TaskState::kErred);
  }
  let_go_of_dependencies(ts);
  state_.clear_waiters(ts);
  report_to_wanters(ts);
  if (state_.wants(ts, fire_and_forget_)) release_wants(fire_and_forget_, {ts.slot});
}

void Machine::propagate_forgotten(Task& ts) {
  state_.set_state(ts, TaskState::kForgotten);
  while (!ts.dependents.empty()) {
    const Edge edge = ts.dependents.back();
    Task& dependent = state_.task(edge.task);
    if (dependent.processing_on.valid()) state_.unneed_replica(ts, state_.worker(dependent.processing_on));
    dependent.has_lost_dependencies = true;
    state_.remove_dependency(dependent, edge.mate);
    if (dependent.state != TaskState::kMemory && dependent.state != TaskState::kErred) recommend(dependent, TaskState::kForgotten);
  }
  while (!ts.dependencies.empty()) {
    const bool waited = state_.mate_of_dependency(ts.dependencies.back()).flag;
    Task& dependency = state_.task(ts.dependencies.back().task);
    state_.remove_dependency(ts, ts.dependencies.size() - 1);
    if (dependency.dependents.empty() && dependency.who_wants.empty())
      recommend(dependency, TaskState::kForgotten);
    else if (waited)
      release_dependency_if_unneeded(dependency);
  }
  free_on_holders(ts);
  state_.remove_all_replicas(ts);
}

void Machine::remove_key(Task& ts) {
  state_.unrunnable_remove(ts);
  while (!ts.who_wants.empty()) state_.remove_want(ts, ts.who_wants.back().client);
  ts.extra.reset();
  state_.forget(ts);
}

void Machine::release_wants(ClientId client, const std::vector<std::uint32_t>& slots) {
  for (std::uint32_t slot : slots) {
    Task& ts = state_.task(slot);
    if (!state_.remove_want(ts, client) || !ts.who_wants.empty()) continue;
    if (ts.dependents.empty())
      recommend(ts, TaskState::kForgotten);
    else if (ts.state != TaskState::kErred && ts.waiters == 0)
      recommend(ts, TaskState::kReleased);
  }
}

// ---- actions ----

void Machine::locate(const Task& ts) {
  DependencyLocation location;
  location.task = State::id_of(ts);
  location.nbytes = ts.nbytes;
  location.holders_begin = static_cast<std::uint32_t>(actions_.holders.size());
  for (const Holder& holder : ts.who_has) actions_.holders.push_back(holder.worker);
  location.holders_end = static_cast<std::uint32_t>(actions_.holders.size());
  actions_.dependencies.push_back(location);
}

void Machine::send_compute(Task& ts, WorkerId worker) {
  ts.run_id = next_run_id_++;
  if (ts.spec == SpecKind::kPython && !ts.run_spec) {
    ts.compute_pending = true;
    if (ts.extra && ts.extra->spec_failure) fail(ts, ts.extra->spec_failure);
    return;
  }
  ts.compute_pending = false;
  SendComputeTask action{worker, State::id_of(ts), ts.run_id, static_cast<std::uint32_t>(actions_.dependencies.size()), 0};
  for (const Edge& edge : ts.dependencies) locate(state_.task(edge.task));
  action.dependencies_end = static_cast<std::uint32_t>(actions_.dependencies.size());
  act(action);
}

void Machine::free_on_holders(const Task& ts) {
  for (const Holder& holder : ts.who_has)
    if (state_.worker(holder.worker).present) act(SendFreeKey{holder.worker, State::id_of(ts), {}});
}

FailurePtr Machine::make_failure(std::string error_class, const std::string& text, Value::Array arguments) {
  auto failure = std::make_shared<Failure>();
  failure->error_class = std::move(error_class);
  failure->error_arguments = arguments.empty() ? Value::Array{Value(text)} : std::move(arguments);
  failure->exception_text = text;
  return failure;
}

// Errs a task for a reason of the scheduler's own.
void Machine::fail(Task& ts, FailurePtr failure, std::string erred_on) {
  Cause cause;
  cause.failure = std::move(failure);
  cause.blame = State::id_of(ts);
  cause.erred_on = std::move(erred_on);
  if (ts.state == TaskState::kWaiting || ts.state == TaskState::kReleased) {  // by way of released, which reads the blame
    state_.extra(ts).failure = cause.failure;
    state_.extra(ts).exception_blame = cause.blame;
  }
  transition(ts, TaskState::kErred, cause);
}

FailurePtr Machine::failure_of(const Task& ts) const {
  if (ts.extra) {
    if (const Task* blame = state_.get(ts.extra->exception_blame); blame && blame->extra && blame->extra->failure)
      return blame->extra->failure;
    if (ts.extra->failure) return ts.extra->failure;
  }
  // What it was blamed on has been tried again since; another dependency still fails.
  for (const Edge& edge : ts.dependencies)
    if (const Task& dependency = state_.task(edge.task); dependency.state == TaskState::kErred) return failure_of(dependency);
  static const FailurePtr unknown = make_failure("builtins.RuntimeError", "The task that caused this failure is already forgotten");
  return unknown;
}

void Machine::report_on(const Task& ts, ClientId client) {
  if (!state_.has_client(client) || !state_.client(client).connected) return;
  if (ts.state == TaskState::kForgotten)
    act(ReportCancelledKeys{client, {ts.key}, "already forgotten", ""});
  else if (ts.state == TaskState::kMemory)
    act(ReportKeyInMemory{client, State::id_of(ts), {}, {}, {}});
  else if (ts.state == TaskState::kErred)
    act(ReportTaskErred{client, State::id_of(ts), {}, failure_of(ts)});
}

void Machine::report_to_wanters(const Task& ts) {
  for (const Want& want : ts.who_wants) report_on(ts, want.client);
}

}  // namespace dask::scheduler
