// One graph helper: its process, its pipe, and its answers decoded. Starts it, says why it ended, starts it again later.
// Knows one graph at a time and nothing of clients and queues. Private to scheduler/graph.
// Thread ownership: the loop's thread.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/net/child.h"
#include "core/net/loop.h"
#include "core/net/pipe.h"
#include "scheduler/graph/lane.h"
#include "scheduler/graph/reply_decoder.h"

namespace dask::scheduler {

class HelperProcess : public std::enable_shared_from_this<HelperProcess> {
 public:
  using Seconds = std::chrono::duration<double>;
  struct Options {
    std::string python;
    std::string python_path;  // empty: the interpreter finds dask_native itself
    Seconds start_timeout;
    Seconds lower_timeout;
    Seconds restart_delay_min;
    Seconds restart_delay_max;
  };
  struct Handlers {
    std::function<void(Reply)> reply;  // in order; HelperReady comes first after each start
    // It ended, or was ended. `started`: it had been ready. The text says what happened, as the end of "the graph helper ...".
    std::function<void(bool started, bool timed_out, std::string text)> ended;
  };

  HelperProcess(net::Loop& loop, Options options, Handlers handlers);
  ~HelperProcess();

  void start();
  // Starts again after the delay, which doubles from one call to the next until worked() is called.
  void start_later();
  void worked() { delay_ = Seconds::zero(); }

  enum class State { kDown, kStarting, kReady };
  State state() const { return state_; }
  int pid() const { return child_ ? child_->pid() : -1; }

  // Sends the request for a graph. Its answers come as replies; without one for lower_timeout the process is killed.
  void lower(std::uint64_t id, std::vector<Bytes> message, std::vector<std::pair<Key, double>> internal_priority);
  void send(std::vector<Bytes> message) { pipe_->send(std::move(message)); }
  // No answer is expected any more.
  void rest() { silence_ = {}; }
  // Kills the process because of what it did.
  void give_up(std::string text);

 private:
  void on_message(Bytes bytes);
  void on_reply(Reply reply);
  void expect_word(Seconds within, std::string what);
  void end_when_idle();
  void end();
  std::string last_lines() const;

  net::Loop& loop_;
  Options options_;
  Handlers handlers_;
  State state_ = State::kDown;
  bool was_ready_ = false;
  std::uint64_t life_ = 0;  // counts starts: late results of an earlier life are dropped
  std::unique_ptr<net::Child> child_;
  std::unique_ptr<net::FramePipe> pipe_;
  std::shared_ptr<ReplyDecoder> decoder_;  // used by the lane while answers are pending, else by the loop's thread
  std::size_t pending_ = 0;                // messages that the lane decodes
  bool exited_ = false;
  bool pipe_closed_ = false;  // everything that it said has been read
  bool timed_out_ = false;
  bool out_of_step_ = false;  // it has broken the protocol
  std::string reason_;
  std::deque<std::string> lines_;  // the last ones that it printed
  Seconds delay_{0};
  net::Loop::Timer silence_;
  net::Loop::Timer restart_;
  Lane lane_;  // last: joined before what its work uses goes
};

}  // namespace dask::scheduler
