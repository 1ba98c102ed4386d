#include "scheduler/server/extensions.h"

#include <algorithm>
#include <chrono>

#include "core/runtime/log.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

constexpr double kLeaseValidationInterval_s = 10;  // when distributed.scheduler.locks.lease-validation-interval is not set
constexpr double kTimerLongest_s = 3600;           // a timer far away is set again on the way

double validation_interval(const Config& config) {
  auto seconds = config.get_seconds("distributed.scheduler.locks.lease-validation-interval");
  return seconds && *seconds && **seconds > 0 ? **seconds : kLeaseValidationInterval_s;
}

}  // namespace

Extensions::Extensions(Server& server) : server_(server), semaphores_(validation_interval(server.config())) {}

double Extensions::now() const { return server_.monotonic(); }

void Extensions::call(Operation operation, RpcCallPtr call) {
  const RequestId request = next_request_++;
  call->on_abandoned([this, request] { abandon(request); });
  calls_.emplace(request, call);
  (this->*operation)(request, call->msg);
  carry_out();
}

void Extensions::abandon(RequestId request) {
  if (calls_.erase(request) == 0) return;
  key_waits_.abandon(request);
  when_known_.erase(request);
  semaphores_.abandon(request);
  multi_locks_.abandon(request, effects_);
  flags_.abandon(request);
  queues_.abandon(request, effects_);
  variables_.abandon(request);
  datasets_.abandon(request);
  carry_out();
}

void Extensions::client_left(const std::string& client) {
  variables_.client_left(client, effects_);
  datasets_.client_left(client, effects_);
  carry_out();
}

void Extensions::when_known(RequestId request, const Key& key, Deadline deadline, std::function<void()> then) {
  if (server_.state().find(key.msgpack())) return then();
  if (deadline && *deadline <= now())
    return effects_.raise(request, "asyncio.exceptions.TimeoutError", "Task " + key.str() + " unknown to scheduler.");
  when_known_.emplace(request, std::move(then));
  key_waits_.add(request, key, now(), deadline);
}

void Extensions::advance() {
  const double time = now();
  const auto known = [&](const Key& key) { return server_.state().find(key.msgpack()) != nullptr; };
  for (RequestId request : key_waits_.advance(time, known, effects_))
    if (auto then = when_known_.extract(request)) then.mapped()();
  semaphores_.advance(time, effects_);
  multi_locks_.advance(time, effects_);
  flags_.advance(time, effects_);
  queues_.advance(time, effects_);
  variables_.advance(time, effects_);
  datasets_.advance(time, effects_);
  carry_out();
}

void Extensions::carry_out() {
  Effects effects = std::exchange(effects_, {});
  for (const std::string& warning : effects.warnings) log_warning("{}", warning);
  for (Wish& wish : effects.wishes) {
    if (wish.kind == Wish::Kind::kDesire) {
      const ClientId client = server_.machine().client_named(wish.client);
      server_.apply(KeysDesired{client, std::move(wish.keys)}, server_.stimulus("client-desires-keys"));
    } else if (const Client* cs = server_.state().find_client(wish.client)) {
      if (wish.kind == Wish::Kind::kRelease)
        server_.apply(KeysReleased{cs->id, std::move(wish.keys)}, server_.stimulus("client-releases-keys"));
      else if (!cs->connected && cs->wants_what.empty())
        server_.apply(ClientLeft{cs->id}, server_.stimulus("remove-client"));
    }
  }
  for (Answer& answer : effects.answers) {
    auto call = calls_.extract(answer.request);
    when_known_.erase(answer.request);
    if (!call) continue;
    call.mapped()->on_abandoned({});
    if (!answer.error_class.empty()) {
      call.mapped()->raise(answer.error_class, answer.text);
      continue;
    }
    if (answer.has_futures) {
      if (auto* records = std::get_if<Value::Array>(&answer.value.variant()))
        for (Value& record : *records) add_state(record);
      else
        add_state(answer.value);
    }
    call.mapped()->reply(std::move(answer.value));
  }
  set_timer();
}

// A future in a record: its task's state as of now, and why it failed.
void Extensions::add_state(Value& record) {
  if (record["type"].as_string() != "Future") return;
  auto key = Key::from_value(record["value"]);
  const Task* ts = key ? server_.state().find(key->msgpack()) : nullptr;
  record.set("state", ts ? std::string(name_of(ts->state)) : "lost");
  if (!ts || ts->state != TaskState::kErred) return;
  const FailurePtr failure = server_.machine().failure_of(*ts);
  record.set("exception", exception_of(*failure));
  record.set("traceback", failure->traceback);
}

void Extensions::set_timer() {
  Deadline next = key_waits_.next_deadline();
  for (Deadline deadline : {semaphores_.next_deadline(), multi_locks_.next_deadline(), flags_.next_deadline(), queues_.next_deadline(),
                            variables_.next_deadline(), datasets_.next_deadline()})
    next = earlier(next, deadline);
  if (next == timer_at_) return;
  timer_at_ = next;
  timer_.cancel();
  if (!next) return;
  const double seconds = std::clamp(*next - now(), 0.0, kTimerLongest_s);
  timer_ = server_.loop().after(std::chrono::ceil<net::Loop::Duration>(std::chrono::duration<double>(seconds)), [this] {
    timer_at_.reset();
    advance();
  });
}

}  // namespace dask::scheduler
