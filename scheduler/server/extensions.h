// Extensions: the shell around scheduler/extensions. It keeps the calls that wait for an answer, drives the extensions with
// what arrives and with time, and carries out what they want: answers, and wishes of pseudo clients.
// Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/net/loop.h"
#include "scheduler/extensions/datasets.h"
#include "scheduler/extensions/flags.h"
#include "scheduler/extensions/key_waits.h"
#include "scheduler/extensions/multi_locks.h"
#include "scheduler/extensions/queues.h"
#include "scheduler/extensions/semaphores.h"
#include "scheduler/extensions/variables.h"
#include "scheduler/server/rpc_call.h"

namespace dask::scheduler {

class Server;

class Extensions {
 public:
  explicit Extensions(Server& server);

  // One operation: reads the call's arguments and tells the extension. Given to the operations' table by rpc_extensions.cc.
  using Operation = void (Extensions::*)(RequestId request, const Value& msg);
  void call(Operation operation, RpcCallPtr call);
  // A message on a client's stream; false when it is none of ours.
  bool client_message(const std::string& client, const std::string& op, const Value& fields);
  void client_left(const std::string& client);

  const Semaphores& semaphores() const { return semaphores_; }

  // ---- the operations (rpc_extensions.cc) ----
  void semaphore_register(RequestId request, const Value& msg);
  void semaphore_acquire(RequestId request, const Value& msg);
  void semaphore_release(RequestId request, const Value& msg);
  void semaphore_refresh_leases(RequestId request, const Value& msg);
  void semaphore_value(RequestId request, const Value& msg);
  void semaphore_close(RequestId request, const Value& msg);
  void multi_lock_acquire(RequestId request, const Value& msg);
  void multi_lock_release(RequestId request, const Value& msg);
  void event_wait(RequestId request, const Value& msg);
  void event_set(RequestId request, const Value& msg);
  void event_clear(RequestId request, const Value& msg);
  void event_is_set(RequestId request, const Value& msg);
  void queue_create(RequestId request, const Value& msg);
  void queue_put(RequestId request, const Value& msg);
  void queue_get(RequestId request, const Value& msg);
  void queue_qsize(RequestId request, const Value& msg);
  void variable_set(RequestId request, const Value& msg);
  void variable_get(RequestId request, const Value& msg);
  void publish_put(RequestId request, const Value& msg);
  void publish_delete(RequestId request, const Value& msg);
  void publish_list(RequestId request, const Value& msg);
  void publish_get(RequestId request, const Value& msg);

 private:
  double now() const;
  // An argument that names something. Without a value the call has been answered with an error.
  std::optional<Key> name_in(RequestId request, const Value& msg, const char* argument = "name");
  // Reads `timeout`: seconds, Dask's text for a duration, or none. False: the call has been answered with an error.
  bool deadline_in(RequestId request, const Value& msg, Deadline& deadline);
  Datasets::Caller publisher_in(RequestId request, const Value& msg, Key flush) const;
  // Calls `then` once the task is known.
  void when_known(RequestId request, const Key& key, Deadline deadline, std::function<void()> then);
  void abandon(RequestId request);
  void advance();
  // Carries out the effects so far and sets the timer.
  void carry_out();
  void add_state(Value& record);
  void set_timer();

  Server& server_;
  Semaphores semaphores_;
  MultiLocks multi_locks_;
  Flags flags_;
  Queues queues_;
  Variables variables_;
  Datasets datasets_;
  KeyWaits key_waits_;
  std::map<RequestId, std::function<void()>> when_known_;
  Effects effects_;
  std::map<RequestId, RpcCallPtr> calls_;
  RequestId next_request_ = 1;
  net::Loop::Timer timer_;
  Deadline timer_at_;
};

}  // namespace dask::scheduler
