// Polls and retirements over Dask's RPC.
#include "operator/controller/schedulers.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/net/comm.h"
#include "core/runtime/log.h"
#include "operator/plan/scheduler_view.h"

namespace dask::kube {

namespace {

Value request(const char* op) {
  Value message = Value::map();
  message.set("op", op);
  return message;
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) text.replace(at, what.size(), with);
  return text;
}

}  // namespace

std::string rpc_failure(const Value& reply) {
  if (!reply.is_map()) return {};
  const std::string_view status = reply["status"].as_string();
  if (status != "uncaught-error" && status != "error") return {};
  if (std::string_view text = reply["exception_text"].as_string(); !text.empty()) return std::string(text);
  return reply["text"].is_string() ? std::string(reply["text"].as_string()) : reply.repr().substr(0, 300);
}

std::vector<SchedulerWorker> workers_of_identity(const Value& identity) {
  std::vector<SchedulerWorker> workers;
  const Value::Map* map = identity["workers"].map_if();
  if (!map) return workers;
  for (const auto& [address, worker] : *map) {
    SchedulerWorker one;
    one.address = address.as_string();
    const Value& name = worker["name"];
    one.name = name.is_int() ? std::to_string(name.as_int()) : std::string(name.as_string());
    one.status = worker["status"].as_string("running");
    const Value& metrics = worker["metrics"];
    one.stored_bytes = metrics["managed_bytes"].as_int();
    const Value& counts = metrics["task_counts"];
    one.processing = counts["executing"].as_int() + counts["ready"].as_int() + counts["waiting"].as_int();
    if (!one.address.empty()) workers.push_back(std::move(one));
  }
  return workers;
}

Schedulers::Schedulers(net::Loop& loop, const Clock& clock, std::string address_template,
                       std::function<void(const std::string&, const std::string&)> changed, Metrics* metrics)
    : loop_(loop),
      clock_(clock),
      template_(std::move(address_template)),
      changed_(std::move(changed)),
      metrics_(metrics),
      quick_(loop, {kSchedulerConnectionsMax, kPollTimeout}),
      slow_(loop, {kSchedulerConnectionsMax, kRetireTimeout}) {}

Schedulers::~Schedulers() = default;

std::string Schedulers::address_of(const SchedulerEndpoint& scheduler) const {
  const std::string& host = scheduler.ip.empty() ? scheduler.host : scheduler.ip;
  if (template_.empty()) {
    const bool ipv6 = host.find(':') != std::string::npos;
    return ipv6 ? fmt::format("tcp://[{}]:{}", host, scheduler.port) : fmt::format("tcp://{}:{}", host, scheduler.port);
  }
  std::string address = replaced(template_, "{host}", scheduler.host);
  address = replaced(std::move(address), "{ip}", scheduler.ip);
  address = replaced(std::move(address), "{port}", std::to_string(scheduler.port));
  address = replaced(std::move(address), "{cluster}", scheduler.cluster);
  return replaced(std::move(address), "{namespace}", scheduler.ns);
}

Schedulers::Known& Schedulers::known(const SchedulerEndpoint& scheduler) {
  Known& one = views_[{scheduler.ns, scheduler.cluster}];
  if (one.epoch == 0) one.epoch = ++epochs_;
  one.address = address_of(scheduler);
  return one;
}

Schedulers::Known* Schedulers::still(const Key& key, std::uint64_t epoch) {
  auto found = views_.find(key);
  return found == views_.end() || found->second.epoch != epoch ? nullptr : &found->second;
}

SchedulerView Schedulers::view(const std::string& ns, const std::string& cluster) const {
  auto found = views_.find({ns, cluster});
  return found == views_.end() ? SchedulerView() : found->second.view;
}

void Schedulers::forget(const std::string& ns, const std::string& cluster) {
  auto found = views_.find({ns, cluster});
  if (found == views_.end()) return;
  quick_.forget(found->second.address);
  slow_.forget(found->second.address);
  views_.erase(found);
}

// ---- polls --------------------------------------------------------------------------------------------------------------

void Schedulers::poll(const SchedulerEndpoint& scheduler) {
  Known& one = known(scheduler);
  if (one.view.polling) return;
  one.view.polling = true;
  ++polls_;
  const Key key{scheduler.ns, scheduler.cluster};
  quick_.call(one.address, request("identity"), [this, key, epoch = one.epoch, sent = now_ms()](Result<Value> reply) {
    if (!reply) return failed(key, epoch, reply.error().message);
    if (std::string why = rpc_failure(*reply); !why.empty()) return failed(key, epoch, why);
    if (!(*reply)["id"].is_string()) return failed(key, epoch, "it answers as no scheduler does");
    take_identity(key, epoch, sent, *reply);
  });
}

void Schedulers::failed(const Key& key, std::uint64_t epoch, const std::string& why) {
  Known* one = still(key, epoch);
  if (!one) return;
  if (one->view.failing_since_ms == 0)
    log_warning("The scheduler of {}/{} at {} does not answer: {}", key.first, key.second, one->address, why);
  take_failed_poll(one->view, fmt::format("{}: {}", one->address, why), now_ms());
  if (metrics_) metrics_->counter("dask_operator_scheduler_rpc_errors_total", "Requests to schedulers that failed.").increment();
  changed_(key.first, key.second);
}

void Schedulers::take_identity(const Key& key, std::uint64_t epoch, TimeMs sent_ms, const Value& identity) {
  Known* one = still(key, epoch);
  if (!one) return;
  SchedulerView fresh;
  fresh.id = identity["id"].as_string();
  fresh.workers = workers_of_identity(identity);
  const std::string address = one->address;
  auto ask_idle = [this, key, epoch, sent_ms, address](SchedulerView so_far, Value processing) {
    Known* now_known = still(key, epoch);
    if (!now_known) return;
    // Schedulers before 2024 have no such operation and answer nothing: then nothing is known about idleness.
    if (now_known->silent_id == so_far.id) return take_rest(key, epoch, sent_ms, std::move(so_far), processing, Value());
    quick_.call(address, request("check_idle"),
                [this, key, epoch, sent_ms, so_far = std::move(so_far), processing = std::move(processing)](Result<Value> idle) {
                  Known* asked = still(key, epoch);
                  if (!asked) return;
                  if (!idle && idle.error().code != ErrorCode::kTimeout) return failed(key, epoch, idle.error().message);
                  if (!idle) asked->silent_id = so_far.id;
                  take_rest(key, epoch, sent_ms, so_far, processing, idle && rpc_failure(*idle).empty() ? *idle : Value());
                });
  };
  // All tasks of many workers would be a long answer: then only those that leave are asked for.
  Value ask = request("processing");
  if (fresh.workers.size() > kProcessingWorkersMax) {
    Value leaving = Value::array();
    for (const SchedulerWorker& worker : fresh.workers)
      if (worker.status != "running") leaving.push_back(worker.address);
    if (leaving.size() == 0) return ask_idle(std::move(fresh), Value());
    ask.set("workers", std::move(leaving));
  }
  if (fresh.workers.empty()) return ask_idle(std::move(fresh), Value());
  quick_.call(address, std::move(ask), [this, key, epoch, fresh = std::move(fresh), ask_idle](Result<Value> processing) {
    if (!processing) return failed(key, epoch, processing.error().message);
    ask_idle(fresh, rpc_failure(*processing).empty() ? *std::move(processing) : Value());
  });
}

void Schedulers::take_rest(const Key& key, std::uint64_t epoch, TimeMs sent_ms, SchedulerView fresh, const Value& processing,
                           const Value& idle) {
  Known* one = still(key, epoch);
  if (!one) return;
  for (SchedulerWorker& worker : fresh.workers) {
    if (const Value* tasks = processing.is_map() ? processing.find(worker.address) : nullptr)
      worker.processing = static_cast<std::int64_t>(tasks->size());
    else if (worker.status != "running")
      worker.processing = std::max<std::int64_t>(worker.processing, 1);  // a heartbeat is no proof that it has no task any more
  }
  if (idle.is_number()) fresh.idle_since_ms = static_cast<TimeMs>(idle.as_double() * 1000);
  if (one->view.failing_since_ms != 0) log_info("The scheduler of {}/{} answers again", key.first, key.second);
  take_poll(one->view, std::move(fresh), sent_ms);
  changed_(key.first, key.second);
}

// ---- retirements --------------------------------------------------------------------------------------------------------

void Schedulers::retire(const AskSchedulerToRetire& ask) {
  Known& one = known(ask.scheduler);
  const TimeMs now = now_ms();
  take_request(one.view, ask, now);
  Value addresses = Value::array();
  for (const auto* list : {&ask.addresses, &ask.also})
    for (const std::string& address : *list) addresses.push_back(address);
  Value message = request("retire_workers");
  message.set("workers", std::move(addresses));
  message.set("close_workers", false);
  message.set("remove", false);
  const Key key{ask.scheduler.ns, ask.scheduler.cluster};
  slow_.call(one.address, std::move(message), [this, key, epoch = one.epoch, id = one.view.id, asked = now, ask](Result<Value> reply) {
    Known* now_known = still(key, epoch);
    if (!now_known || now_known->view.id != id) return;
    std::string failure = reply ? rpc_failure(*reply) : reply.error().message;
    if (failure.empty() && !reply->is_map()) failure = "retire_workers was answered by " + reply->repr().substr(0, 100);
    const TimeMs answered = now_ms();
    if (!failure.empty()) {
      log_warning("The scheduler of {}/{} did not retire workers: {}", key.first, key.second, failure);
      if (metrics_) metrics_->counter("dask_operator_scheduler_rpc_errors_total", "Requests to schedulers that failed.").increment();
      take_promise(now_known->view, ask, asked, nullptr, answered);
      return changed_(key.first, key.second);
    }
    std::set<std::string> retired;
    for (const std::string& address : ask.addresses) {
      if (reply->find(address)) retired.insert(address);
      if (!metrics_) continue;
      metrics_
          ->histogram("dask_operator_drain_seconds", "Time from asking a scheduler to retire a worker to its answer.",
                      {0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300})
          .observe(static_cast<double>(answered - asked) / 1000);
    }
    take_promise(now_known->view, ask, asked, &retired, answered);
    changed_(key.first, key.second);
  });
}

}  // namespace dask::kube
