#include "client/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "dask/progress_bar.h"

namespace dask {

struct ProgressBar::Impl {
  ProgressBarOptions options;
};

namespace client {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Which bars are alive. Global, as in Dask: a bar shows what is computed anywhere in the program.
struct Bars {
  std::mutex mutex;
  std::vector<std::shared_ptr<ProgressBarOptions>> list;
};
Bars& bars() {
  static Bars all;
  return all;
}

std::string seconds_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.2f} s", seconds);
  const auto whole = static_cast<long>(seconds);
  if (whole < 3600) return fmt::format("{}m {}s", whole / 60, whole % 60);
  return fmt::format("{}h {}m {}s", whole / 3600, whole / 60 % 60, whole % 60);
}

// A thread that redraws one line.
class Drawing final : public Progress::Watcher {
 public:
  Drawing(const Progress& progress, std::shared_ptr<const ProgressBarOptions> options)
      : progress_(progress), options_(std::move(options)), began_(SteadyClock::now()), thread_([this] { run(); }) {}
  ~Drawing() override {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_one();
    thread_.join();
    if (draw()) std::fputc('\n', out());
    std::fflush(out());
  }

 private:
  std::FILE* out() const { return options_->out ? options_->out : stdout; }
  void run() {
    const auto interval = std::chrono::duration<double>(std::max(options_->interval_s, 0.01));
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, interval, [this] { return ended_; })) draw();
  }
  bool draw() {
    const double elapsed = std::chrono::duration<double>(SteadyClock::now() - began_).count();
    if (elapsed < options_->minimum_s) return false;
    const double fraction =
        progress_.total() == 0 ? 1 : std::min(1.0, static_cast<double>(progress_.done()) / static_cast<double>(progress_.total()));
    const int width = std::clamp(options_->width, 1, 1000), full = static_cast<int>(fraction * width);
    fmt::print(out(), "\r[{:<{}}] | {}% Completed | {}", std::string(static_cast<std::size_t>(full), '#'), width,
               static_cast<int>(100 * fraction), seconds_text(elapsed));
    std::fflush(out());
    return true;
  }

  const Progress& progress_;
  std::shared_ptr<const ProgressBarOptions> options_;
  SteadyClock::time_point began_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace

Progress::Progress(std::size_t total) : total_(total) {
  const std::lock_guard lock(bars().mutex);
  for (const auto& options : bars().list) watchers_.push_back(std::make_unique<Drawing>(*this, options));
}

Progress::~Progress() { watchers_.clear(); }

}  // namespace client

ProgressBar::ProgressBar(const ProgressBarOptions& options) : impl_(std::make_shared<Impl>(Impl{options})) {
  const std::lock_guard lock(client::bars().mutex);
  client::bars().list.push_back(std::shared_ptr<ProgressBarOptions>(impl_, &impl_->options));
}

ProgressBar::~ProgressBar() {
  const std::lock_guard lock(client::bars().mutex);
  std::erase_if(client::bars().list, [&](const auto& one) { return one.get() == &impl_->options; });
}

}  // namespace dask
