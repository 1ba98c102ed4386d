// Loop on one io_context. A turn is the handlers that are ready now (bounded, so that output is never held back by
// endless input); then the work for its end runs, then the loop waits. It never spins: between turns it sits in epoll.
#include "core/net/loop.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "core/net/loop_impl.h"

namespace dask::net {

namespace asio = boost::asio;

namespace {
constexpr int kTurnHandlersMax = 256;
constexpr int kEndOfTurnRoundsMax = 64;
}  // namespace

void Loop::Impl::finish_turn() {
  std::vector<std::function<void()>> works;
  std::vector<std::shared_ptr<Flushable>> flushables;
  for (int round = 0; round < kEndOfTurnRoundsMax; ++round) {
    if (!end_of_turn.empty()) {
      works.swap(end_of_turn);
      for (auto& work : works) work();
      works.clear();
    } else if (!to_flush.empty()) {
      flushables.swap(to_flush);
      for (auto& flushable : flushables) flushable->flush();
      flushables.clear();
    } else {
      break;
    }
  }
  // Keeps the vectors' memory for the next turn.
  if (end_of_turn.empty()) end_of_turn.swap(works);
  if (to_flush.empty()) to_flush.swap(flushables);
}

void Loop::Impl::wait_for_signal() {
  signals->async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal_handler) signal_handler(signal);
    wait_for_signal();
  });
}

Loop::Loop() : impl_(std::make_unique<Impl>()) {}

Loop::~Loop() {
  impl_->end_of_turn.clear();
  impl_->to_flush.clear();
  impl_->signals.reset();
}

void Loop::run() {
  run_until([] { return false; });
}

bool Loop::run_until(const std::function<bool()>& done) {
  auto& context = impl_->context;
  impl_->finish_turn();
  while (!impl_->stop_requested.load(std::memory_order_relaxed)) {
    if (done()) return false;
    if (impl_->end_of_turn.empty() && impl_->to_flush.empty()) {
      context.run_one();
    }
    for (int handlers = 1; handlers < kTurnHandlersMax; ++handlers) {
      if (context.poll_one() == 0) break;
    }
    impl_->finish_turn();
  }
  impl_->stop_requested.store(false);
  context.restart();
  return true;
}

void Loop::stop() {
  impl_->stop_requested.store(true);
  impl_->context.stop();
}

void Loop::post(std::function<void()> work) { asio::post(impl_->context, std::move(work)); }

void Loop::at_end_of_turn(std::function<void()> work) { impl_->end_of_turn.push_back(std::move(work)); }

void Loop::on_signals(std::function<void(int)> handler) {
  bool first = impl_->signals == nullptr;
  impl_->signal_handler = std::move(handler);
  if (!first) return;
  impl_->signals = std::make_unique<asio::signal_set>(impl_->context, SIGINT, SIGTERM);
  impl_->wait_for_signal();
}

// ---- timers -------------------------------------------------------------------------------------------------------------

struct Loop::Timer::Impl : std::enable_shared_from_this<Loop::Timer::Impl> {
  explicit Impl(asio::io_context& context) : timer(context) {}

  void arm() {
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->cancelled) return;
      if (self->period == Duration::zero()) {
        auto once = std::move(self->work);
        once();
        return;
      }
      self->work();
      if (self->cancelled) {
        self->work = nullptr;
        return;
      }
      auto next = self->timer.expiry() + self->period;
      self->timer.expires_at(std::max(next, std::chrono::steady_clock::now()));
      self->arm();
    });
  }

  asio::steady_timer timer;
  Duration period = Duration::zero();
  std::function<void()> work;
  bool cancelled = false;
};

Loop::Timer::Timer() = default;
Loop::Timer::~Timer() { cancel(); }
Loop::Timer::Timer(Timer&&) noexcept = default;
Loop::Timer& Loop::Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    cancel();
    impl = std::move(other.impl);
  }
  return *this;
}

void Loop::Timer::cancel() {
  if (!impl) return;
  impl->cancelled = true;
  impl->timer.cancel();
  impl.reset();
}

Loop::Timer Loop::after(Duration delay, std::function<void()> work) {
  Timer timer;
  timer.impl = std::make_shared<Timer::Impl>(impl_->context);
  timer.impl->work = std::move(work);
  timer.impl->timer.expires_after(delay);
  timer.impl->arm();
  return timer;
}

Loop::Timer Loop::every(Duration period, std::function<void()> work) {
  Timer timer;
  timer.impl = std::make_shared<Timer::Impl>(impl_->context);
  timer.impl->work = std::move(work);
  timer.impl->period = std::max(period, Duration(1));
  timer.impl->timer.expires_after(period);
  timer.impl->arm();
  return timer;
}

}  // namespace dask::net
