// A State with tasks and workers by short names.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "scheduler/state/state.h"

namespace dask::scheduler {

class StateTest : public testing::Test {
 protected:
  Task& task(const std::string& name, TaskState state = TaskState::kReleased) {
    Task* ts = state_.find(Key::from_string(name).msgpack());
    return ts ? *ts : state_.new_task(Key::from_string(name), state);
  }
  Worker& worker(const std::string& name, std::int64_t nthreads = 1) {
    Worker ws;
    ws.address = "tcp://" + name;
    ws.host = name;
    ws.name = Value(name);
    ws.nthreads = nthreads;
    ws.status = WorkerStatus::kRunning;
    return state_.add_worker(std::move(ws));
  }
  // Puts a task into memory on a worker.
  void hold(Task& ts, Worker& ws, std::int64_t nbytes) {
    state_.set_state(ts, TaskState::kMemory);
    state_.set_nbytes(ts, nbytes);
    state_.add_replica(ts, ws);
  }
  void process(Task& ts, Worker& ws) {
    ts.spec = SpecKind::kNative;
    state_.add_to_processing(ts, ws);
    state_.set_state(ts, TaskState::kProcessing);
    state_.check_idle_saturated(ws);
  }

  State state_{Settings{}};
};

}  // namespace dask::scheduler
