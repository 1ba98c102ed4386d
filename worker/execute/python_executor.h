// PythonExecutor: the child interpreter in which a worker's Python tasks run and their live results stay.
// C++ never opens what users pickled: run specs and data go to the child as the bytes they came as, and results come back as
// Dask's own frames when somebody asks for them. What a task does there (hold the GIL, crash, exit) cannot stop this process.
// Protocol: worker/execute/PROTOCOL.md; the other side: python/dask_native/executor.
// Thread ownership: the loop's thread, for every call and every handler. Handlers may call the executor; they must not destroy it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/key.h"
#include "core/base/messages.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "core/net/loop.h"
#include "worker/execute/lending.h"

namespace dask::worker {

// How the child is started, and what its shim Worker (what get_worker() gives to a task) says of this worker.
struct PythonExecutorOptions {
  std::string python = "python3";  // any interpreter that has dask, distributed and the users' packages
  std::string python_path;         // goes before PYTHONPATH; empty: the interpreter finds dask_native itself
  int nthreads = 1;
  // Variables added to ours before the interpreter starts: what `distributed.nanny.environ` says and --nanny's plugins add.
  // PYTHONHASHSEED=6640 is set unless it is here or in our own environment, as Dask's nanny does.
  std::map<std::string, std::string> environment;
  std::string name;               // the worker's name, as text or Python literal ...
  Value name_value;               // ... and as it is registered (an int for LocalCluster); nil: `name`
  std::string address;            // the worker's contact address: tcp://127.0.0.1:1234
  std::string nanny;              // its nanny's address; empty: None
  std::string scheduler_address;  // get_client() connects there
  std::string local_directory;
  std::optional<std::uint64_t> memory_limit_bytes;  // nullopt: no limit
  Value config;                                     // map: merged over the child's own dask.config; nil: nothing
  Value resources;                                  // map of the worker's abstract resources; nil: none
  Value security;                                   // map of Security's keywords (tls_ca_file, ...); nil: none
  std::vector<std::string> preload;                 // modules or files that are imported first (their dask_setup(worker) is called)
  std::vector<std::vector<std::string>> preload_argv;
  double start_timeout_seconds = 60;  // 0: no limit
  bool lend = true;                   // large blobs do not pass the socket where the kernel allows it (lending.h)
  std::string courier_library;        // Python loads it, and large results go to peers without a copy; empty: it is not there
  bool lazy = false;                  // the child starts when the first request needs it, not before
};

// An input of a task. Null `serialised`: the executor has it (a result of its own, or one that it was given before).
// Else the executor unpacks it when a task needs it, and has it from then on, until drop().
struct PythonInput {
  Key key;
  OpaquePtr serialised;  // as a peer's get_data sent it: kind kSerialized
};

struct PythonTask {
  Key key;
  std::int64_t run_id = 0;
  Value run_spec;                   // as compute-task brought it: an opaque node (kPickled or kSerialized)
  std::vector<PythonInput> inputs;  // every dependency
  bool actor = false;               // the result becomes an actor: it stays, only its methods are called
  Value annotations;                // map or nil; "executor" and "span" are honoured
  std::string span_id;              // empty: none
};

// Code of a user that raised: the fields of distributed's error_message.
struct PythonFailure {
  Bytes exception;                 // a pickle (of a stand-in, when the exception does not pickle)
  std::optional<Bytes> traceback;  // a pickle; none when it is longer than distributed.admin.max-error-length
  std::string exception_text;
  std::string traceback_text;
};

// One of Dask's fine performance metrics: what context_meter collected while the task ran. `label` is a string or, for users'
// own, any msgpack value. Becomes ("execute", span_id, prefix, label, unit): value in the heartbeat.
struct PythonMetric {
  Value label;  // thread-cpu, thread-noncpu, deserialize, ...
  std::string unit;
  double value = 0;
};

// A task has run. Clocks are this machine's (add scheduler_delay).
struct PythonExecuted {
  enum class Outcome : std::uint8_t {
    kSuccess,     // the result is in the executor under the task's key until drop(), also when nobody wants it any more
    kFailure,     // `failure` says why; nothing is kept
    kReschedule,  // it raised distributed.Reschedule
  };
  Key key;
  std::int64_t run_id = 0;
  Outcome outcome = Outcome::kSuccess;
  bool actor = false;
  std::int64_t nbytes = 0;  // safe_sizeof
  Bytes type;               // pickle of the type (of its name, when it does not pickle)
  std::string typename_;    // "int", "pandas.core.frame.DataFrame"
  double start = 0;         // of the user's function alone
  double stop = 0;
  std::int64_t thread = 0;
  std::vector<StartStop> startstops;  // other than compute: deserialize
  std::vector<PythonMetric> metrics;
  Value metadata;  // map or nil
  PythonFailure failure;
};

// A task left its thread (distributed.secede, worker_client): the machine's Secede event.
struct PythonSeceded {
  Key key;
  double compute_duration = 0;
};

// What the executor holds under a key.
struct PythonData {
  Key key;
  std::int64_t nbytes = 0;
  Bytes type;
  std::string typename_;
  std::optional<PythonFailure> failure;  // set: it could not be unpacked, and nothing is held
};

// One key of serialise().
struct PythonSerialised {
  Key key;
  OpaquePtr data;                        // null when missing or failed; fits where Python has to_serialize(value)
  std::optional<PythonFailure> failure;  // neither data nor failure: the executor has no such key
};

// The interpreter is ready: what it is.
struct PythonReady {
  int pid = 0;
  Value versions;  // distributed.versions.get_versions(), for register-worker
};

// The executor's process has ended. Everything it held is lost; tasks that were given to it and have not come back are named.
struct PythonExited {
  bool was_ready = false;
  bool expected = false;  // after stop()
  int exit_code = 0;      // when `signal` is 0
  int signal = 0;
  // "was killed by signal 9 (Killed); peak memory 1.2 GiB; last output: ...": the end of a sentence that begins with the executor.
  std::string cause;
  std::string failed_task;                               // repr of the key whose task ended it (SystemExit, KeyboardInterrupt); else empty
  std::uint64_t peak_memory_bytes = 0;                   // 0: unknown
  bool out_of_memory = false;                            // the kernel killed it because of the cgroup's memory limit
  std::vector<std::pair<Key, std::int64_t>> lost_tasks;  // key, run_id
};

struct PythonExecutorHandlers {
  std::function<void(PythonReady)> ready;
  std::function<void(PythonExecuted)> executed;
  std::function<void(PythonSeceded)> seceded;
  // worker.log_event (distributed.print, distributed.warn): a stream message for the scheduler. `topic` is a string or an array.
  std::function<void(Value topic, Value message)> log_event;
  // Code in the executor stored data itself (client.scatter inside a task): the machine's UpdateData.
  std::function<void(std::vector<PythonData>)> stored;
  // Python code wants a stream message sent to the scheduler as it is (plugins that use worker.batched_send).
  std::function<void(Value message)> send_to_scheduler;
  // Python code asks the worker to close (worker.close(), worker.close_gracefully(), WorkerPlugin).
  std::function<void(std::string reason)> close_requested;
  // The operations that call() and stream() know have changed: those below plus what plugins added (shuffle_receive, ...).
  std::function<void(std::vector<std::string> operations, std::vector<std::string> stream_operations)> operations_changed;
  // What Python code measured outside tasks: worker.digest_metric(name, value).
  std::function<void(Value name, double value)> digest;
  // A line that it (or user code) printed to stdout or stderr. Not set: it is logged.
  std::function<void(std::string_view line)> line;
  std::function<void(PythonExited)> exited;
};

class PythonExecutor {
 public:
  PythonExecutor(net::Loop& loop, PythonExecutorOptions options, PythonExecutorHandlers handlers);
  // Kills the child; no handler is called any more.
  ~PythonExecutor();
  PythonExecutor(const PythonExecutor&) = delete;
  PythonExecutor& operator=(const PythonExecutor&) = delete;

  // Starts the child. `ready` follows, or `exited` with the reason. Requests made meanwhile wait for it. Again after `exited` only.
  // A lazy one sleeps (kDormant) until a request needs the child.
  void start();
  // Asks the child to end: plugins are torn down, then it exits; it is killed after `timeout_seconds`. `exited` follows.
  void stop(double timeout_seconds);
  // Ends it now (memory, restart). `exited` follows with `cause`.
  void kill(std::string cause);

  enum class State : std::uint8_t { kDown, kDormant, kStarting, kReady, kStopping };
  State state() const;
  int pid() const;                     // -1 when down
  LentTotals lent() const;             // large blobs that did not pass the socket, in this life of the child
  std::uint64_t memory_bytes() const;  // its resident memory now; 0 when down
  PythonExecutorOptions& options();    // what the next start() uses

  // ---- tasks and data. Order is kept among these calls. All requests of one turn of the loop leave as one message. ------------------

  // Runs a task as soon as a thread is free (the machine gives no more than nthreads at a time; more wait in order).
  // `executed` follows, unless the child ends. Requests while it is down are lost: `exited` named them already.
  void execute(PythonTask task);
  // Keys whose tasks were given to it and have not come back.
  std::size_t executing() const;

  // Stores data of peers. With `done`, it is unpacked at once and measured; without, when first used.
  using PutDone = std::function<void(Result<std::vector<PythonData>>)>;
  void put(std::vector<std::pair<Key, OpaquePtr>> data, PutDone done = {});
  // Receives a large frame from a peer straight into the child's memory (net::TakeFrame): only put() takes such frames.
  bool receive_frame(int socket, std::string_view received, std::uint64_t size, std::function<void(Result<Bytes> frame)> done);
  // Forgets data and actors. Tasks that run keep what they were given.
  void drop(const std::vector<Key>& keys);
  // Values as frames, one per key, in order. kUnavailable when the child ends first. An actor gives its proxy (distributed.Actor), as
  // Dask's get_data does. `serializers`: as in get_data; empty: all.
  // `lend`: large frames may stay in the child (Bytes::source), and can be sent as long as it lives.
  using SerialiseDone = std::function<void(Result<std::vector<PythonSerialised>>)>;
  void serialise(std::vector<Key> keys, SerialiseDone done, std::vector<std::string> serializers = {}, bool lend = false);

  // ---- operations of Dask's worker that are Python code. ----------------------------------------------------------------------------

  // `message` is the RPC as a peer sent it (a map with `op` and its arguments, opaque nodes included); the answer is what Dask's worker
  // would reply, opaque nodes included, to be sent as it is. Code that raises is an answer too ({"status": "error" or
  // "uncaught-error", "exception": ...}). An Error only when the child is or goes down, or does not know the operation (kNotFound).
  //
  //   run, run_coroutine (function, args, kwargs, wait)    actor_execute (actor, function, args, kwargs)   actor_attribute (actor,
  //   attribute) plugin-add (plugin, name)   plugin-remove (name)     upload_file (filename, data, load)              call_stack (keys)
  //   profile (start, stop, key, server)                   profile_metadata (start, stop)                  get_logs (n, start, timestamps)
  //   versions                    benchmark_disk           benchmark_memory                                benchmark_network (address)
  //   and operations that plugins registered in worker.handlers
  using CallDone = std::function<void(Result<Value>)>;
  void call(Value message, CallDone done);
  // A call that a dormant executor makes whenever its child starts, before anything else; a failure is logged. Does not wake it.
  void call_at_start(Value message);
  // A stream message from the scheduler that plugins handle (shuffle-fail). Unknown ones are logged.
  void stream(Value message);
  // True when call() knows the operation (from the list above until `operations_changed` says more).
  bool handles(std::string_view operation) const;

  // What plugins that have a transition hook should see: (key, start, finish) in order. Cheap when no plugin has one.
  void transition(const Key& key, std::string_view start, std::string_view finish);
  // Whether one has; `operations_changed` is called when that changes.
  bool wants_transitions() const;

  // What the shim Worker says: status ("running", "paused", "closing"), scheduler_delay, nthreads, ... as a map.
  // "nthreads" changes the number of threads; "collect": true frees garbage and gives memory back to the system.
  void update(Value fields);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Where the Python side is: $DASK_NATIVE_PYTHON, else an environment around this program, else python3.
std::string default_executor_python();
// The folder that has dask_native, for PYTHONPATH: $DASK_NATIVE_PYTHONPATH, else beside this program; empty: not found there.
std::string default_executor_python_path();

}  // namespace dask::worker
