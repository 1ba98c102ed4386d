// The queue of graphs and who works on which. A graph fails alone: its helper starts again, the others go on.
#include "scheduler/graph/graph_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <set>
#include <type_traits>
#include <variant>

#include "core/runtime/log.h"
#include "scheduler/graph/helper_message.h"
#include "scheduler/graph/helper_process.h"

namespace dask::scheduler {
namespace {

// A file that a client uploaded.
struct Upload {
  std::uint64_t number = 0;  // they are numbered as they come
  Bytes plugin;
  std::string name;                      // of the file, once a helper has taken it; a later one of this name replaces it
  std::function<void(FailurePtr)> done;  // null once it was called
};

// What a helper works on: a graph, or a file that it takes.
struct Job {
  std::uint64_t id = 0;
  std::shared_ptr<Upload> upload;
  GraphRequest request;
  GraphService::Callbacks callbacks;
  bool lowered = false;    // `lowered` was called with a graph
  bool abandoned = false;  // nobody is called any more
};

}  // namespace

struct GraphService::Impl : std::enable_shared_from_this<GraphService::Impl> {
  struct Helper {
    std::shared_ptr<HelperProcess> process;
    std::unique_ptr<Job> job;
    std::uint64_t taken = 0;  // the number of the last upload that this life of the process has taken: it takes them in their order
    bool ever_ready = false;
  };

  Impl(net::Loop& the_loop, Options the_options) : loop(the_loop), options(std::move(the_options)) {
    if (options.python.empty()) options.python = default_python();
    if (options.python_path.empty()) options.python_path = default_python_path();
    options.helpers = std::max(1, options.helpers);
  }

  void start(std::function<void(Result<Value>)> callback) {
    on_ready = std::move(callback);
    HelperProcess::Options process{options.python,        options.python_path,       options.start_timeout,
                                   options.lower_timeout, options.restart_delay_min, options.restart_delay_max};
    for (int i = 0; i < options.helpers; ++i) {
      auto weak = weak_from_this();
      auto index = static_cast<std::size_t>(i);
      HelperProcess::Handlers handlers;
      handlers.reply = [weak, index](Reply reply) {
        if (auto me = weak.lock()) me->on_reply(me->helpers[index], std::move(reply));
      };
      handlers.ended = [weak, index](bool started, bool timed_out, std::string text) {
        if (auto me = weak.lock()) me->on_ended(me->helpers[index], started, timed_out, text);
      };
      helpers.push_back({std::make_shared<HelperProcess>(loop, process, std::move(handlers)), nullptr});
    }
    asleep = true;
    if (!options.lazy) wake();
  }

  void wake() {
    if (!std::exchange(asleep, false)) return;
    start_error.clear();
    for (Helper& helper : helpers) helper.process->start();
  }

  // ---- the queue ----

  std::uint64_t submit(GraphRequest request, Callbacks callbacks) {
    auto job = std::make_unique<Job>();
    job->id = ++last_id;
    job->request = std::move(request);
    job->callbacks = std::move(callbacks);
    queue.push_back(std::move(job));
    wake();
    loop.post([weak = weak_from_this()] {
      if (auto me = weak.lock()) me->dispatch();
    });
    return last_id;
  }

  void upload(Bytes plugin, std::function<void(FailurePtr)> done) {
    uploads.push_back(std::make_shared<Upload>(Upload{++last_upload, std::move(plugin), {}, std::move(done)}));
    wake();
    loop.post([weak = weak_from_this()] {
      if (auto me = weak.lock()) me->dispatch();
    });
  }

  // Before its next graph: a helper takes the files in the order in which they came.
  void dispatch_uploads() {
    for (Helper& helper : helpers) {
      if (helper.job || helper.process->state() != HelperProcess::State::kReady) continue;
      for (const auto& upload : uploads) {
        if (upload->number <= helper.taken) continue;
        helper.job = std::make_unique<Job>();
        helper.job->id = ++last_id;
        helper.job->upload = upload;
        helper.process->lower(helper.job->id, make_upload_message(helper.job->id, upload->plugin), {});
        break;
      }
    }
  }

  void on(Helper& helper, FileUploaded& uploaded) {
    auto job = std::move(helper.job);
    helper.process->rest();
    helper.process->worked();
    if (job && job->upload) {
      std::shared_ptr<Upload> upload = std::move(job->upload);
      helper.taken = upload->number;
      upload->name = std::move(uploaded.name);
      const auto here = std::find(uploads.begin(), uploads.end(), upload);
      uploads.erase(std::remove_if(uploads.begin(), here, [&](const auto& earlier) { return earlier->name == upload->name; }), here);
      if (auto done = std::exchange(upload->done, nullptr)) done(nullptr);
    }
    dispatch();
  }

  // It could not be taken: it is not tried again.
  void fail_upload(const std::shared_ptr<Upload>& upload, FailurePtr failure) {
    std::erase(uploads, upload);
    if (auto done = std::exchange(upload->done, nullptr)) return done(std::move(failure));
    log_line(LogLevel::kError,
             fmt::format("The uploaded file {} could not be taken into a graph helper: {}", upload->name, failure->exception_text));
  }

  void dispatch() {
    if (!start_error.empty() &&
        std::all_of(helpers.begin(), helpers.end(), [](const Helper& h) { return h.process->state() == HelperProcess::State::kDown; })) {
      for (auto& job : std::exchange(queue, {})) fail_job(*job, make_failure("builtins", "RuntimeError", start_error));
      for (const auto& upload : std::vector(uploads))
        if (upload->done) fail_upload(upload, make_failure("builtins", "RuntimeError", start_error));
      return;
    }
    dispatch_uploads();
    std::set<std::string> busy;  // clients with a graph at work, or one in the queue before
    for (const Helper& helper : helpers) {
      if (helper.job && !helper.job->upload) busy.insert(helper.job->request.client);
    }
    for (auto waiting = queue.begin(); waiting != queue.end();) {
      auto idle = std::find_if(helpers.begin(), helpers.end(),
                               [](const Helper& h) { return !h.job && h.process->state() == HelperProcess::State::kReady; });
      if (idle == helpers.end()) return;
      if (!busy.insert((*waiting)->request.client).second) {
        ++waiting;
        continue;
      }
      idle->job = std::move(*waiting);
      waiting = queue.erase(waiting);
      Job& job = *idle->job;
      idle->process->lower(job.id, make_lower_message(job.id, job.request), std::move(job.request.internal_priority));
      job.request.expr_ser = {};  // large, and the pipe has it
    }
  }

  void forget_client(const std::string& client) {
    std::erase_if(queue, [&](const auto& job) { return job->request.client == client; });
    for (Helper& helper : helpers) {
      if (helper.job && !helper.job->upload && helper.job->request.client == client) helper.job->abandoned = true;
    }
  }

  // ---- what helpers say ----

  void on_reply(Helper& helper, Reply reply) {
    std::visit([&](auto& said) { on(helper, said); }, reply);
  }

  void on(Helper& helper, HelperReady& ready) {
    if (helper.ever_ready) ++counters.restarts;
    helper.ever_ready = true;
    start_error.clear();
    versions = std::move(ready.versions);
    log_info("Graph helper is ready: {} (pid {})", options.python, helper.process->pid());
    if (auto callback = std::exchange(on_ready, nullptr)) callback(versions);
    dispatch();
  }

  void on(Helper& helper, GraphLowered& lowered) {
    if (!helper.job) return;
    Job& job = *helper.job;
    if (lowered.ask) helper.process->send(make_pickle_message(job.id, job.abandoned ? std::vector<std::uint32_t>{} : lowered.pickle_order));
    if (lowered.failure) return fail_job(job, std::move(lowered.failure));
    job.lowered = true;
    ++counters.graphs;
    counters.tasks += lowered.graph.columns.n_tasks;
    counters.unpickle_seconds += lowered.unpickle_seconds;
    counters.materialize_seconds += lowered.materialize_seconds;
    counters.decode_seconds += lowered.decode_seconds;
    counters.order_seconds += lowered.order_seconds;
    if (!job.abandoned && job.callbacks.lowered) job.callbacks.lowered(std::move(lowered.graph));
  }

  void on(Helper& helper, SpecsArrived& specs) {
    if (!helper.job) return;
    if (!helper.job->abandoned && !specs.batch.specs.empty() && helper.job->callbacks.specs)
      helper.job->callbacks.specs(std::move(specs.batch));
  }

  void on(Helper& helper, GraphDone& done) {
    auto job = std::move(helper.job);
    helper.process->rest();
    helper.process->worked();
    if (!job) return;
    if (job->upload) {
      fail_upload(job->upload, done.failure ? std::move(done.failure)
                                            : make_failure("builtins", "RuntimeError", "the graph helper did not take the file"));
      return dispatch();
    }
    counters.pickle_seconds += done.pickle_seconds;
    finish_job(*job, std::move(done.failure));
    dispatch();
  }

  void on(Helper&, HelperCannotStart&) {}  // ends as on_ended
  void on(Helper&, HelperOutOfStep&) {}

  void on_ended(Helper& helper, bool started, bool timed_out, const std::string& text) {
    auto job = std::move(helper.job);
    if (stopping) return;
    std::string what = fmt::format("The graph helper ({}) {}", options.python, text);
    if (started || !on_ready) log_line(LogLevel::kError, what);  // else whoever waits for the start is told
    if (!started) {
      start_error = fmt::format(
          "{}\nGraphs of Python clients cannot be taken in without it. It needs an interpreter with the clients' dask and distributed: "
          "name it with --python or DASK_NATIVE_PYTHON. Starting it is tried again{}.",
          what, options.lazy ? " with the next graph" : "");
      if (auto callback = std::exchange(on_ready, nullptr)) callback(fail(ErrorCode::kUnavailable, start_error));
    }
    if (started || !options.lazy) helper.process->start_later();
    helper.taken = 0;
    if (job && job->upload) {
      fail_upload(job->upload, make_failure("builtins", "RuntimeError", what + "\nIt was importing an uploaded file."));
    } else if (job) {
      std::string message = fmt::format(
          "{}\nIt was {} this graph. The code of a graph runs there while it is unpickled, optimised and pickled again: a crash of a "
          "library, os._exit(), too little memory or a lock can be the cause. Other graphs are not affected.",
          what, job->lowered ? "pickling the tasks of" : "lowering");
      finish_job(*job, make_failure("builtins", timed_out ? "TimeoutError" : "RuntimeError", message));
    }
    dispatch();
    const auto down = [](const Helper& h) { return h.process->state() == HelperProcess::State::kDown; };
    if (!started && options.lazy && std::all_of(helpers.begin(), helpers.end(), down)) asleep = true;
  }

  void finish_job(Job& job, FailurePtr failure) {
    if (!job.lowered)
      return fail_job(job, failure ? std::move(failure) : make_failure("builtins", "RuntimeError", "the graph helper gave no answer"));
    if (failure) ++counters.failures;
    if (!job.abandoned && job.callbacks.done) job.callbacks.done(std::move(failure));
    job.abandoned = true;
  }

  // Before it was lowered.
  void fail_job(Job& job, FailurePtr failure) {
    if (job.abandoned) return;
    job.abandoned = true;
    ++counters.failures;
    if (job.callbacks.lowered) job.callbacks.lowered(tl::unexpected<FailurePtr>(std::move(failure)));
  }

  net::Loop& loop;
  Options options;
  std::function<void(Result<Value>)> on_ready;
  std::deque<std::unique_ptr<Job>> queue;
  std::vector<std::shared_ptr<Upload>> uploads;
  std::uint64_t last_upload = 0;
  std::vector<Helper> helpers;
  std::uint64_t last_id = 0;
  bool asleep = false;  // a lazy service that nobody has needed yet, or whose helpers could not be started the last time
  bool stopping = false;
  std::string start_error;  // why no helper could be started the last time; empty once one could
  Value versions;
  Counters counters;
};

GraphService::GraphService(net::Loop& loop, Options options) : impl_(std::make_shared<Impl>(loop, std::move(options))) {}
GraphService::~GraphService() = default;

void GraphService::start(std::function<void(Result<Value>)> ready) { impl_->start(std::move(ready)); }
void GraphService::stop() { impl_->stopping = true; }
bool GraphService::ready() const { return !impl_->versions.is_nil() || (impl_->asleep && impl_->start_error.empty()); }
const Value& GraphService::versions() const { return impl_->versions; }
std::uint64_t GraphService::submit(GraphRequest request, Callbacks callbacks) {
  return impl_->submit(std::move(request), std::move(callbacks));
}
void GraphService::upload(Bytes plugin, std::function<void(FailurePtr)> done) { impl_->upload(std::move(plugin), std::move(done)); }
void GraphService::forget_client(const std::string& client) { impl_->forget_client(client); }
const GraphService::Counters& GraphService::counters() const { return impl_->counters; }

std::vector<int> GraphService::pids() const {
  std::vector<int> pids;
  for (const auto& helper : impl_->helpers) {
    if (helper.process->pid() > 0) pids.push_back(helper.process->pid());
  }
  return pids;
}

std::size_t GraphService::graphs_waiting() const {
  return impl_->queue.size() + static_cast<std::size_t>(std::count_if(impl_->helpers.begin(), impl_->helpers.end(),
                                                                      [](const auto& h) { return h.job != nullptr; }));
}

}  // namespace dask::scheduler
