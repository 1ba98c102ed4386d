// ShuffleManager: the shell around scheduler/extensions/shuffles. It hears of barriers from the machine's actions, of workers from
// the server, and carries out what the extension wants: messages to workers, events for the machine.
// Thread ownership: the loop's thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "scheduler/extensions/shuffles.h"
#include "scheduler/machine/actions.h"
#include "scheduler/server/rpc_call.h"

namespace dask::scheduler {

class Server;

class ShuffleManager {
 public:
  explicit ShuffleManager(Server& server) : server_(server) {}

  const Shuffles& shuffles() const { return shuffles_; }

  // ---- while the machine's actions are carried out: messages are sent at once, what the machine must do waits ----
  void on(const BarrierStopped& action, const std::string& stimulus_id);
  void on(const ShuffleTaskErred& action, const std::string& stimulus_id);
  // After the actions: feeds the machine.
  void carry_out(const std::string& stimulus_id);

  void worker_left(const std::string& address, const std::string& stimulus_id);
  void heartbeat(const std::string& address, const Value& data) { shuffles_.heartbeat(address, data); }
  void clear();

  // ---- operations of workers ----
  void get(RpcCallPtr call);
  void get_or_create(RpcCallPtr call);
  void restrict_task(RpcCallPtr call);
  void barrier(RpcCallPtr call);

 private:
  class Barrier;
  void answer(RpcCall& call, const Result<const ShuffleRun*>& run);
  void tell();  // sends messages, events and lines of the log of effects_

  Server& server_;
  Shuffles shuffles_;
  ShuffleEffects effects_;
  std::map<std::string, std::pair<std::int64_t, Value>> run_specs_;  // of active shuffles: run id and what workers are told
};

}  // namespace dask::scheduler
