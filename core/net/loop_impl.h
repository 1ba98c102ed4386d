// The inside of Loop, for core/net's .cc files only: the io_context and the lists of work for the end of a turn.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "core/net/loop.h"

namespace dask::net {

// Something with output to flush at the end of a turn, after all at_end_of_turn() work: a Comm, a FramePipe.
class Flushable {
 public:
  virtual ~Flushable() = default;
  virtual void flush() = 0;
};

struct Loop::Impl {
  boost::asio::io_context context{1};
  // Without work the context would stop itself, for good: it always has this.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> stay_alive{context.get_executor()};
  std::vector<std::function<void()>> end_of_turn;
  std::vector<std::shared_ptr<Flushable>> to_flush;
  std::unique_ptr<boost::asio::signal_set> signals;
  std::function<void(int)> signal_handler;
  std::atomic<bool> stop_requested{false};

  // Runs what is queued for the end of the turn; work that queues more work gets kEndOfTurnRoundsMax rounds.
  void finish_turn();
  void wait_for_signal();
};

}  // namespace dask::net
