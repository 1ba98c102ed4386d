// The child's process and pipe, and who waits for which answer. Requests of one turn of the loop leave as one message.
#include "worker/execute/python_executor.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>

#include "core/net/child.h"
#include "core/net/pipe.h"
#include "core/runtime/log.h"
#include "core/runtime/python_location.h"
#include "core/wire/pickle.h"
#include "worker/execute/courier.h"
#include "worker/execute/executor_message.h"
#include "worker/execute/memory_of_process.h"

namespace dask::worker {
namespace {

constexpr std::size_t kLinesKeptMax = 30;
constexpr std::string_view kCrashReport = "Fatal Python error";  // faulthandler's first line
// Between the end of the process and the end of its pipe, whichever comes first.
constexpr std::chrono::seconds kCloseTimeout{2};
constexpr std::string_view kHashSeed = "6640";  // what Dask's nanny sets, so that all workers hash alike
// What the shim Worker serves before plugins add to it.
constexpr std::array kOperations{"run",
                                 "run_coroutine",
                                 "actor_execute",
                                 "actor_attribute",
                                 "plugin-add",
                                 "plugin-remove",
                                 "upload_file",
                                 "call_stack",
                                 "profile",
                                 "profile_metadata",
                                 "get_logs",
                                 "versions",
                                 "benchmark_disk",
                                 "benchmark_memory",
                                 "benchmark_network",
                                 "extensions_heartbeat"};

net::Loop::Duration duration(double seconds) {
  return std::chrono::duration_cast<net::Loop::Duration>(std::chrono::duration<double>(seconds));
}

Value strings(const std::vector<std::string>& texts) {
  Value out = Value::array();
  for (const std::string& text : texts) out.push_back(Value(text));
  return out;
}

Value start_message(const PythonExecutorOptions& options) {
  Value out = Value::map();
  out.set("name", options.name_value.is_nil() ? Value(options.name) : options.name_value);
  out.set("address", options.address);
  out.set("nanny", options.nanny.empty() ? Value() : Value(options.nanny));
  out.set("scheduler_address", options.scheduler_address);
  out.set("local_directory", options.local_directory);
  out.set("memory_limit", options.memory_limit_bytes ? Value(*options.memory_limit_bytes) : Value());
  out.set("nthreads", options.nthreads);
  out.set("config", options.config);
  out.set("resources", options.resources);
  out.set("security", options.security);
  out.set("preload", strings(options.preload));
  Value argv = Value::array();
  for (const auto& arguments : options.preload_argv) argv.push_back(strings(arguments));
  out.set("preload_argv", std::move(argv));
  return out;
}

}  // namespace

struct PythonExecutor::Impl : std::enable_shared_from_this<PythonExecutor::Impl> {
  struct Running {
    Key key;
    std::int64_t run_id = 0;
    bool actor = false;
  };

  Impl(net::Loop& the_loop, PythonExecutorOptions the_options, PythonExecutorHandlers the_handlers)
      : loop(the_loop), options(std::move(the_options)), handlers(std::move(the_handlers)) {
    operations.insert(kOperations.begin(), kOperations.end());
  }

  // A call for this life of the child only.
  template <class Work>
  auto guarded(Work work) {
    return [weak = weak_from_this(), mine = life, work](auto&&... arguments) {
      auto me = weak.lock();
      if (me && me->life == mine) work(*me, std::forward<decltype(arguments)>(arguments)...);
    };
  }

  // ---- process ----

  void start() {
    if (state != State::kDown) return;
    if (!options.lazy) return launch();
    state = State::kDormant;
    for (const Value& message : calls_at_start) make_call_at_start(message);
  }

  void wake() {
    if (state == State::kDormant) launch();
  }

  void make_call_at_start(const Value& message) {
    const std::uint64_t request = wait_for_answer([operation = std::string(message["op"].as_string())](const Result<Said>& said) {
      const auto* reply = said ? std::get_if<said::Reply>(&*said) : nullptr;
      if (reply != nullptr && reply->message["status"].as_string() != "OK")
        log_error("{} failed: {}", operation, reply->message["exception_text"].as_string());
    });
    batch.call(request, message);
  }

  // A dormant executor ends without ever having been anything.
  void end_dormant(std::string cause) {
    ++life;
    state = State::kDown;
    batch.take();
    waiting.clear();
    loop.post(guarded([cause = std::move(cause)](Impl& me) {
      if (auto handler = me.handlers.exited) handler({.was_ready = true, .expected = true, .cause = cause});
    }));
  }

  void launch() {
    ++life;
    state = State::kStarting;
    was_ready = exited = pipe_closed = stopping = crash_reported = false;
    reason.clear();
    ending_key.clear();
    lines.clear();
    status = {};
    peak_seen_bytes = 0;
    out_of_memory_kills = cgroup_out_of_memory_kills();

    auto started = spawn();
    if (!started) {
      reason = "could not be started: " + started.error().message;
      exited = pipe_closed = true;
      loop.post(guarded([](Impl& me) { me.end_when_both_are_gone(); }));
      return;
    }
    lending = std::make_unique<Lending>([weak = weak_from_this(), mine = life, &my_loop = loop](std::uint64_t lease) {
      // Not from here: a connection may be clearing its output.
      if (auto me = weak.lock(); me && me->life == mine)
        my_loop.post(me->guarded([lease](Impl& later) { later.requests().give_back(lease); }));
    });
    RequestBatch first;
    Value start = start_message(options);
    if (options.lend) start.set("lending", lending->probe());
    if (courier) start.set("courier", Value(Value::Map{{"library", options.courier_library}, {"fd", courier_fd}}));
    first.start(start);
    pipe->send(first.take());
    if (!batch.empty()) flush_later();
    if (options.start_timeout_seconds > 0) {
      timer = loop.after(duration(options.start_timeout_seconds), guarded([](Impl& me) {
                           me.give_up(fmt::format("did not start within {:g} seconds and was killed", me.options.start_timeout_seconds));
                         }));
    }
  }

  Result<void> spawn() {
    DASK_TRY(auto sockets, socket_pair());
    ProcessOptions process;
    process.argv = {options.python, "-m", "dask_native.executor", "--fd", std::to_string(sockets.second.get())};
    process.environment = options.environment;
    process.environment.emplace("PYTHONFAULTHANDLER", "1");
    process.environment.emplace("PYTHONUNBUFFERED", "1");
    const char* seed = std::getenv("PYTHONHASHSEED");
    if (seed == nullptr || std::string_view(seed) == "0") process.environment.emplace("PYTHONHASHSEED", kHashSeed);
    if (!options.python_path.empty()) {
      auto own = process.environment.find("PYTHONPATH");
      const char* ours = std::getenv("PYTHONPATH");
      std::string path = own != process.environment.end() ? own->second : ours != nullptr ? ours : "";
      process.environment["PYTHONPATH"] = path.empty() ? options.python_path : options.python_path + ":" + path;
    }
    process.inherit = {sockets.second.get()};
    courier.reset();
    std::pair<FileDescriptor, FileDescriptor> packets;
    if (options.lend && !options.courier_library.empty()) {
      DASK_TRY(packets, packet_socket_pair());
      courier_fd = packets.second.get();
      process.inherit.push_back(courier_fd);
      courier = std::make_shared<Courier>(loop, std::move(packets.first));
    }
    process.capture_output = true;
    DASK_TRY(child, net::Child::start(loop, process,
                                      {.exited = guarded([](Impl& me, ExitStatus ended) { me.on_exited(ended); }),
                                       .line = guarded([](Impl& me, std::string_view line) { me.on_line(line); })}));
    // Under Yama a child may read its parent only when the parent says so.
    if (options.lend) ::prctl(PR_SET_PTRACER, static_cast<unsigned long>(child->pid()), 0, 0, 0);
    pipe = std::make_unique<net::FramePipe>(loop, std::move(sockets.first));
    pipe->on_message(guarded([](Impl& me, Bytes bytes) { me.on_batch(bytes); }));
    pipe->on_closed(guarded([](Impl& me, const Error& error) { me.on_pipe_closed(error); }));
    return {};
  }

  void on_exited(ExitStatus ended) {
    status = ended;
    exited = true;
    lending->executor_ended();
    // What it left behind (a process it forked) may hold the pipe open.
    timer = loop.after(kCloseTimeout, guarded([](Impl& me) {
                         me.pipe_closed = true;
                         me.end_when_both_are_gone();
                       }));
    end_when_both_are_gone();
  }

  void on_pipe_closed(const Error& error) {
    pipe_closed = true;
    if (error.code != ErrorCode::kUnavailable) give_up("is out of step and was killed: " + error.message);
    if (exited) return end_when_both_are_gone();
    // It should exit now, and how it does is the reason that people want to read.
    timer = loop.after(kCloseTimeout, guarded([](Impl& me) { me.give_up("closed its pipe without an end and was killed"); }));
  }

  void on_line(std::string_view line) {
    keep_line(line);
    if (auto handler = handlers.line) return handler(line);
    // What tasks print is theirs: it passes through as it is.
    std::string whole(line);
    whole += '\n';
    std::fwrite(whole.data(), 1, whole.size(), stderr);
  }

  // The last lines; once the interpreter reports a crash, the first ones of that, which show the thread that crashed.
  void keep_line(std::string_view line) {
    if (line.substr(0, kCrashReport.size()) == kCrashReport) {
      crash_reported = true;
      lines.clear();
    }
    if (lines.size() < kLinesKeptMax) {
      lines.emplace_back(line);
      return;
    }
    if (crash_reported) return;
    lines.pop_front();
    lines.emplace_back(line);
  }

  // Kills the child because of what it did, or did not.
  void give_up(std::string text) {
    if (state == State::kDormant) return end_dormant(std::move(text));
    if (exited || !child) return;
    if (reason.empty()) reason = std::move(text);
    timer.cancel();
    child->kill(SIGKILL);  // `exited` follows
  }

  void end_when_both_are_gone() {
    if (!exited || !pipe_closed || state == State::kDown) return;
    auto keep = shared_from_this();
    PythonExited ended;
    ended.was_ready = was_ready;
    ended.expected = stopping;
    ended.exit_code = status.code;
    ended.signal = status.signal;
    ended.failed_task = ending_key;
    // The kernel's figure begins with what this process had when it started the child: below that, what was seen counts.
    bool is_own = status.peak_memory_bytes > peak_resident_bytes(::getpid());
    ended.peak_memory_bytes = is_own ? status.peak_memory_bytes : peak_seen_bytes;
    ended.out_of_memory = status.signal == SIGKILL && cgroup_out_of_memory_kills() > out_of_memory_kills;
    ended.cause = cause(ended);
    for (auto& [token, task] : running) ended.lost_tasks.emplace_back(std::move(task.key), task.run_id);

    ++life;
    state = State::kDown;
    timer.cancel();
    running.clear();
    batch.take();
    auto calls = std::exchange(waiting, {});
    pipe.reset();
    child.reset();
    lending.reset();
    Error gone{ErrorCode::kUnavailable, "the executor " + ended.cause};
    for (auto& [request, call] : calls) call(fail(gone));
    auto handler = handlers.exited;
    if (handler) handler(std::move(ended));
  }

  std::string cause(const PythonExited& ended) const {
    std::string text = reason;
    if (text.empty()) {
      if (ended.out_of_memory)
        text = "was killed by the kernel because the memory limit of its cgroup was reached";
      else if (status.signal != 0)
        text = "was " + status.str();
      else
        text = "ended with " + status.str();
    }
    if (stopping && status.ok()) return text;
    if (ended.peak_memory_bytes > 0)
      text += fmt::format("; its peak memory was {:.1f} MiB", static_cast<double>(ended.peak_memory_bytes) / (1 << 20));
    if (lines.empty()) return text;
    text += "\nIts last output:";
    for (const std::string& line : lines) text += "\n  " + line;
    return text;
  }

  // ---- requests ----

  void flush_later() {
    if (flush_planned) return;
    flush_planned = true;
    loop.at_end_of_turn([weak = weak_from_this()] {
      auto me = weak.lock();
      if (!me) return;
      me->flush_planned = false;
      if (me->pipe && !me->batch.empty()) me->pipe->send(me->batch.take(me->lending.get()));
    });
  }

  // The batch, which will be sent at the end of this turn.
  RequestBatch& requests() {
    wake();
    flush_later();
    return batch;
  }

  // An answer for one request: what was said, or the error.
  using Waiting = std::function<void(Result<Said>)>;

  std::uint64_t wait_for_answer(Waiting answered) {
    waiting.emplace(++last_number, std::move(answered));
    return last_number;
  }

  // Fails at the next turn when there is no child to ask; else makes the request.
  void ask(Waiting answered, const std::function<void(std::uint64_t)>& request) {
    if (state == State::kDown) {
      loop.post([answered = std::move(answered)] { answered(fail(ErrorCode::kUnavailable, "the executor is not running")); });
      return;
    }
    wake();
    request(wait_for_answer(std::move(answered)));
  }

  void answer(std::uint64_t request, Result<Said> said) {
    auto found = waiting.find(request);
    if (found == waiting.end()) return give_up(fmt::format("is out of step and was killed: it answered request {} twice", request));
    auto call = std::move(found->second);
    waiting.erase(found);
    call(std::move(said));
  }

  // ---- what it says ----

  void on_batch(const Bytes& bytes) {
    auto batch_said = parse_batch(bytes, lending.get());
    if (!batch_said) return give_up("is out of step and was killed: " + batch_said.error().message);
    auto keep = shared_from_this();
    std::uint64_t mine = life;
    for (Said& one : *batch_said) {
      std::visit([this](auto& said) { on(said); }, one);
      if (life != mine) return;
    }
  }

  void on(said::Ready& ready) {
    timer.cancel();
    was_ready = true;
    if (state == State::kStarting) state = State::kReady;
    if (handlers.ready) handlers.ready({ready.pid, std::move(ready.versions)});
  }
  void on(said::LendingTried& tried) {
    lending->agree(tried.can_read_us, child ? child->pid() : 0, tried.pid, tried.address);
    if (courier && tried.has_courier && lending->may_borrow()) lending->set_courier(courier);
  }
  void on(said::Returned& said) {
    for (std::uint64_t lease : said.leases) lending->returned(lease);
  }
  void on(said::Operations& known) {
    operations = {known.operations.begin(), known.operations.end()};
    wants_transitions = known.wants_transitions;
    if (handlers.operations_changed) handlers.operations_changed(std::move(known.operations), std::move(known.stream_operations));
  }
  void on(said::Executed& said) { report(said.token, std::move(said.executed)); }
  void report(std::uint64_t token, PythonExecuted executed) {
    auto found = running.find(token);
    if (found == running.end()) return give_up(fmt::format("is out of step and was killed: it reported task {} twice", token));
    executed.key = std::move(found->second.key);
    executed.run_id = found->second.run_id;
    executed.actor = found->second.actor;
    running.erase(found);
    if (handlers.executed) handlers.executed(std::move(executed));
  }
  void on(said::Seceded& said) {
    auto found = running.find(said.token);
    if (found != running.end() && handlers.seceded) handlers.seceded({found->second.key, said.compute_duration});
  }
  void on(said::LogEvent& said) {
    if (handlers.log_event) handlers.log_event(std::move(said.topic), std::move(said.message));
  }
  void on(said::Stored& said) {
    if (handlers.stored) handlers.stored(std::move(said.data));
  }
  void on(said::PutDone& said) { answer(said.request, Said(std::move(said))); }
  void on(said::Serialised& said) { answer(said.request, Said(std::move(said))); }
  void on(said::Reply& said) { answer(said.request, Said(std::move(said))); }
  void on(said::NoHandler& said) {
    answer(said.request, fail(ErrorCode::kNotFound, fmt::format("the executor does not know the operation '{}'", said.operation)));
  }
  void on(said::Send& said) {
    if (handlers.send_to_scheduler) handlers.send_to_scheduler(std::move(said.message));
  }
  void on(said::Digest& said) {
    if (handlers.digest) handlers.digest(std::move(said.name), said.value);
  }
  void on(said::Close& said) {
    if (handlers.close_requested) handlers.close_requested(std::move(said.reason));
  }
  void on(said::Ending& said) {
    ending_key = std::move(said.key);
    reason = fmt::format("was ended by {}, which raised {}", ending_key, said.text);
  }
  void on(said::CannotStart& said) { reason = "could not be started: " + said.text; }
  void on(said::Broken& said) {
    std::string text = fmt::format("the executor could not send '{}': {}", said.operation, said.text);
    log_line(LogLevel::kError, text);
    if (said.operation == "finished" || said.operation == "failed" || said.operation == "reschedule") {
      if (!running.count(said.number)) return;
      PythonExecuted executed;
      executed.outcome = PythonExecuted::Outcome::kFailure;
      executed.failure.exception = Bytes::own(wire_exception(text));
      executed.failure.exception_text = fmt::format("RuntimeError({})", Value(text).repr());
      report(said.number, std::move(executed));
    } else if (waiting.count(said.number)) {
      answer(said.number, fail(ErrorCode::kUserCode, text));
    }
  }
  static std::string wire_exception(const std::string& text);

  net::Loop& loop;
  PythonExecutorOptions options;
  PythonExecutorHandlers handlers;
  State state = State::kDown;
  std::uint64_t life = 0;  // counts starts and ends: late calls of an earlier life are dropped
  bool was_ready = false;
  bool exited = false;
  bool pipe_closed = false;  // everything that it said has been read
  bool stopping = false;
  ExitStatus status;
  std::string reason;      // why it ended, where the status alone does not say it
  std::string ending_key;  // the task that ended it on purpose
  std::deque<std::string> lines;
  bool crash_reported = false;
  std::uint64_t peak_seen_bytes = 0;      // when memory_bytes() looked
  std::uint64_t out_of_memory_kills = 0;  // of the cgroup, when it started

  std::vector<Value> calls_at_start;
  RequestBatch batch;
  bool flush_planned = false;
  std::uint64_t last_number = 0;
  std::unordered_map<std::uint64_t, Running> running;  // by token
  std::unordered_map<std::uint64_t, Waiting> waiting;  // by request
  std::unordered_set<std::string> operations;
  bool wants_transitions = false;

  std::unique_ptr<Lending> lending;  // of this life, as the next two
  std::shared_ptr<Courier> courier;
  int courier_fd = -1;  // its number in the child
  std::unique_ptr<net::Child> child;
  std::unique_ptr<net::FramePipe> pipe;
  net::Loop::Timer timer;
};

PythonExecutor::PythonExecutor(net::Loop& loop, PythonExecutorOptions options, PythonExecutorHandlers handlers)
    : impl_(std::make_shared<Impl>(loop, std::move(options), std::move(handlers))) {}

PythonExecutor::~PythonExecutor() {
  ++impl_->life;
  impl_->handlers = {};
  impl_->waiting.clear();
  impl_->pipe.reset();
  impl_->child.reset();
  impl_->timer.cancel();
}

void PythonExecutor::start() { impl_->start(); }

void PythonExecutor::stop(double timeout_seconds) {
  Impl& me = *impl_;
  if (me.state == State::kDown || me.state == State::kStopping) return;
  if (me.state == State::kDormant) return me.end_dormant("was stopped before anything needed it");
  me.state = State::kStopping;
  me.stopping = true;
  me.requests().stop();
  me.timer = me.loop.after(duration(timeout_seconds), me.guarded([timeout_seconds](Impl& late) {
    late.give_up(fmt::format("did not stop within {:g} seconds and was killed", timeout_seconds));
  }));
}

void PythonExecutor::kill(std::string cause) { impl_->give_up(std::move(cause)); }

PythonExecutor::State PythonExecutor::state() const { return impl_->state; }
int PythonExecutor::pid() const { return impl_->child ? impl_->child->pid() : -1; }
std::uint64_t PythonExecutor::memory_bytes() const {
  if (!impl_->child) return 0;
  impl_->peak_seen_bytes = std::max(impl_->peak_seen_bytes, peak_resident_bytes(impl_->child->pid()));
  return resident_bytes(impl_->child->pid());
}
LentTotals PythonExecutor::lent() const { return impl_->lending ? impl_->lending->totals() : LentTotals(); }
PythonExecutorOptions& PythonExecutor::options() { return impl_->options; }

void PythonExecutor::execute(PythonTask task) {
  std::uint64_t token = ++impl_->last_number;
  impl_->requests().execute(token, task);
  impl_->running.emplace(token, Impl::Running{std::move(task.key), task.run_id, task.actor});
}

std::size_t PythonExecutor::executing() const { return impl_->running.size(); }

void PythonExecutor::put(std::vector<std::pair<Key, OpaquePtr>> data, PutDone done) {
  if (!done) return impl_->requests().put(std::nullopt, data);
  impl_->ask(
      [done = std::move(done)](Result<Said> said) {
        if (!said) return done(fail(said.error()));
        auto* stored = std::get_if<said::PutDone>(&*said);
        done(stored != nullptr ? std::move(stored->data) : std::vector<PythonData>());
      },
      [&](std::uint64_t request) { impl_->requests().put(request, data); });
}

bool PythonExecutor::receive_frame(int socket, std::string_view received, std::uint64_t size,
                                   std::function<void(Result<Bytes> frame)> done) {
  return impl_->lending && impl_->lending->receive(socket, received, size, std::move(done));
}

void PythonExecutor::drop(const std::vector<Key>& keys) {
  if (!keys.empty() && impl_->state != State::kDormant) impl_->requests().drop(keys);
}

void PythonExecutor::serialise(std::vector<Key> keys, SerialiseDone done, std::vector<std::string> serializers, bool lend) {
  const bool may_lend = lend && impl_->lending && impl_->lending->may_borrow();
  impl_->ask(
      [done = std::move(done)](Result<Said> said) {
        if (!said) return done(fail(said.error()));
        auto* serialised = std::get_if<said::Serialised>(&*said);
        done(serialised != nullptr ? std::move(serialised->items) : std::vector<PythonSerialised>());
      },
      [&](std::uint64_t request) { impl_->requests().serialise(request, keys, serializers, may_lend); });
}

void PythonExecutor::call(Value message, CallDone done) {
  impl_->ask(
      [done = std::move(done)](Result<Said> said) {
        if (!said) return done(fail(said.error()));
        auto* reply = std::get_if<said::Reply>(&*said);
        done(reply != nullptr ? std::move(reply->message) : Value());
      },
      [&](std::uint64_t request) { impl_->requests().call(request, message); });
}

void PythonExecutor::call_at_start(Value message) {
  impl_->make_call_at_start(message);
  impl_->calls_at_start.push_back(std::move(message));
}

void PythonExecutor::stream(Value message) { impl_->requests().stream(message); }
bool PythonExecutor::handles(std::string_view operation) const { return impl_->operations.count(std::string(operation)) > 0; }

bool PythonExecutor::wants_transitions() const { return impl_->wants_transitions; }

void PythonExecutor::transition(const Key& key, std::string_view start, std::string_view finish) {
  if (impl_->wants_transitions) impl_->requests().transition(key, start, finish);
}

void PythonExecutor::update(Value fields) {
  Impl& me = *impl_;
  if (const Value* nthreads = fields.find("nthreads")) me.options.nthreads = static_cast<int>(nthreads->as_int(me.options.nthreads));
  (me.state == State::kDormant ? me.batch : me.requests()).update(fields);  // kept for the start
}

std::string PythonExecutor::Impl::wire_exception(const std::string& text) {
  return wire::pickle_exception("builtins", "RuntimeError", text);
}

std::string default_executor_python() { return find_python(); }
std::string default_executor_python_path() { return find_python_path("dask_native/executor/__init__.py"); }

}  // namespace dask::worker
