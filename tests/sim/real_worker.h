// A worker with worker/state's machine inside, and a shell without I/O around it: a store of values, executions that take time, transfers.
// Checks after every event that the machine's state is sound and that the store holds exactly what the machine believes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim_worker.h"
#include "worker/state/machine.h"

namespace dask::sim {

class RealWorker final : public SimWorker {
 public:
  RealWorker(World& world, Process self, std::int64_t nthreads, std::map<std::string, double> resources, Surroundings surroundings);

  void receive(const std::vector<ToWorker>& batch) override;
  void fetched(Process peer, const std::vector<TaskIx>& asked, const std::map<TaskIx, std::uint64_t>& data) override;
  void fetch_failed(Process peer, const std::vector<TaskIx>& asked) override;
  void peer_busy(Process peer, const std::vector<TaskIx>& asked) override;
  void pause(bool paused) override;
  bool executor_dies() override;

  std::map<TaskIx, std::uint64_t> serve(const std::vector<TaskIx>& asked) const override;
  std::string inventory() const override;
  std::size_t known() const override { return machine_.n_tasks(); }
  std::vector<TaskIx> in_memory() const override;
  bool busy_with(TaskIx task) const override;

 private:
  static std::string address_of(Process process);
  static Process process_of(const std::string& address);
  const Key& key(TaskIx task) const { return world_.tasks[task].key; }

  worker::ComputeTask compute(const Compute& m) const;
  worker::Dependency dependency(const Location& location) const;
  void say(worker::Event event, const std::string& stimulus_id);
  void say(worker::Event event) { say(std::move(event), "w" + std::to_string(++stimuli_)); }
  void carry_out(const worker::Instruction& instruction);
  void execute(const worker::Execute& instruction);
  void check();
  void look_for_missing_later();

  World& world_;
  Process self_;
  Surroundings out_;
  worker::Machine machine_;
  std::map<TaskIx, std::uint64_t> store_;
  std::map<TaskIx, std::uint64_t> running_;  // -> number of the execution, so that a dead executor's executions end no others
  std::uint64_t executions_ = 0;
  std::uint64_t stimuli_ = 0;
  bool looking_ = false;
};

}  // namespace dask::sim
