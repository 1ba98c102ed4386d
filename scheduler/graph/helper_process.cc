// Small answers are decoded at once: a submit of one task should not wait for two thread switches. Large ones go to the lane.
#include "scheduler/graph/helper_process.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>

#include "core/runtime/log.h"

namespace dask::scheduler {
namespace {

constexpr std::size_t kDecodeAtOnceBytesMax = 32 * 1024;
constexpr std::size_t kLinesKeptMax = 30;
constexpr std::string_view kLogName = "distributed.scheduler.graph_helper";
// Between the end of the process and the end of its pipe, whichever comes first.
constexpr std::chrono::seconds kCloseTimeout{2};

net::Loop::Duration duration(std::chrono::duration<double> seconds) { return std::chrono::duration_cast<net::Loop::Duration>(seconds); }

}  // namespace

HelperProcess::HelperProcess(net::Loop& loop, Options options, Handlers handlers)
    : loop_(loop), options_(std::move(options)), handlers_(std::move(handlers)) {}

HelperProcess::~HelperProcess() = default;

void HelperProcess::start() {
  state_ = State::kStarting;
  was_ready_ = exited_ = pipe_closed_ = timed_out_ = out_of_step_ = false;
  pending_ = 0;
  reason_.clear();
  lines_.clear();
  decoder_ = std::make_shared<ReplyDecoder>();
  std::uint64_t life = ++life_;
  auto guarded = [weak = weak_from_this(), life](auto work) {
    return [weak, life, work](auto&&... arguments) {
      auto me = weak.lock();
      if (me && me->life_ == life) work(*me, std::forward<decltype(arguments)>(arguments)...);
    };
  };

  auto sockets = socket_pair();
  Result<std::unique_ptr<net::Child>> child = fail(ErrorCode::kUnavailable, "");
  if (!sockets) {
    child = fail(sockets.error());
  } else {
    ProcessOptions process;
    process.argv = {options_.python, "-m", "dask_native.graph_helper", "--fd", std::to_string(sockets->second.get())};
    process.environment = {{"PYTHONFAULTHANDLER", "1"}, {"PYTHONUNBUFFERED", "1"}};
    if (!options_.python_path.empty()) {
      const char* path = std::getenv("PYTHONPATH");
      process.environment["PYTHONPATH"] = path != nullptr && *path != '\0' ? options_.python_path + ":" + path : options_.python_path;
    }
    if (std::getenv("PYTHONHASHSEED") == nullptr) process.environment["PYTHONHASHSEED"] = "0";  // the same graph, the same order
    process.inherit = {sockets->second.get()};
    process.capture_output = true;
    child = net::Child::start(loop_, process,
                              {.exited = guarded([](HelperProcess& me, ExitStatus status) {
                                 if (me.reason_.empty()) me.reason_ = "ended: " + status.str();
                                 me.exited_ = true;
                                 // What it left behind (a process it forked) may hold the pipe open.
                                 me.silence_ = me.loop_.after(kCloseTimeout, [weak = me.weak_from_this(), life = me.life_] {
                                   auto helper = weak.lock();
                                   if (!helper || helper->life_ != life) return;
                                   helper->pipe_closed_ = true;
                                   helper->end_when_idle();
                                 });
                                 me.end_when_idle();
                               }),
                               .line = guarded([](HelperProcess& me, std::string_view line) {
                                 log_line(LogLevel::kInfo, kLogName, line);
                                 me.lines_.emplace_back(line);
                                 if (me.lines_.size() > kLinesKeptMax) me.lines_.pop_front();
                               })});
  }
  if (!child) {
    reason_ = "could not be started: " + child.error().message;
    exited_ = pipe_closed_ = true;
    loop_.post(guarded([](HelperProcess& me) { me.end_when_idle(); }));
    return;
  }
  child_ = *std::move(child);
  pipe_ = std::make_unique<net::FramePipe>(loop_, std::move(sockets->first));
  pipe_->on_message(guarded([](HelperProcess& me, Bytes bytes) { me.on_message(std::move(bytes)); }));
  pipe_->on_closed(guarded([](HelperProcess& me, const Error& error) {
    me.pipe_closed_ = true;
    if (error.code != ErrorCode::kUnavailable) me.give_up("is out of step and was killed: " + error.message);
    if (me.exited_) return me.end_when_idle();
    // It should exit now, and how it does is the reason that people want to read.
    me.silence_ = me.loop_.after(kCloseTimeout, [weak = me.weak_from_this(), life = me.life_] {
      auto helper = weak.lock();
      if (helper && helper->life_ == life) helper->give_up("closed its pipe without an end");
    });
  }));
  expect_word(options_.start_timeout, "start");
}

void HelperProcess::start_later() {
  delay_ = std::clamp(2 * delay_, options_.restart_delay_min, options_.restart_delay_max);
  restart_ = loop_.after(duration(delay_), [weak = weak_from_this()] {
    auto me = weak.lock();
    if (me && me->state_ == State::kDown) me->start();
  });
}

void HelperProcess::lower(std::uint64_t id, std::vector<Bytes> message, std::vector<std::pair<Key, double>> internal_priority) {
  decoder_->begin(id, std::move(internal_priority));
  pipe_->send(std::move(message));
  expect_word(options_.lower_timeout, "say a word about this graph");
}

void HelperProcess::expect_word(Seconds within, std::string what) {
  if (within <= Seconds::zero()) {
    silence_ = {};
    return;
  }
  silence_ = loop_.after(duration(within), [weak = weak_from_this(), life = life_, within, what = std::move(what)] {
    auto me = weak.lock();
    if (!me || me->life_ != life) return;
    me->timed_out_ = true;
    me->give_up(fmt::format("did not {} within {:g} seconds and was killed", what, within.count()));
  });
}

void HelperProcess::give_up(std::string text) {
  if (exited_ || !child_) return;
  reason_ = std::move(text);
  silence_ = {};
  child_->kill(SIGKILL);  // `exited` follows
}

void HelperProcess::on_message(Bytes bytes) {
  if (state_ == State::kReady) expect_word(options_.lower_timeout, "say a word about this graph");
  if (pending_ == 0 && bytes.size() <= kDecodeAtOnceBytesMax) return on_reply(decoder_->decode(bytes));
  ++pending_;
  lane_.post([this, bytes = std::move(bytes), decoder = decoder_, life = life_, weak = weak_from_this()] {
    auto reply = std::make_shared<Reply>(decoder->decode(bytes));
    // `this` outlives the lane; `weak` does not tell on this thread, so only the loop's thread locks it.
    loop_.post([reply, life, weak] {
      auto me = weak.lock();
      if (!me || me->life_ != life) return;
      --me->pending_;
      me->on_reply(std::move(*reply));
      me->end_when_idle();
    });
  });
}

void HelperProcess::on_reply(Reply reply) {
  auto keep = shared_from_this();
  if (out_of_step_) return;  // what it says after that means nothing, least of all that it is done
  if (std::holds_alternative<HelperReady>(reply)) {
    silence_ = {};
    state_ = State::kReady;
    was_ready_ = true;
  } else if (auto* cannot = std::get_if<HelperCannotStart>(&reply)) {
    reason_ = "could not be started: " + cannot->text;
    return;
  } else if (auto* confused = std::get_if<HelperOutOfStep>(&reply)) {
    out_of_step_ = true;
    return give_up("is out of step and was killed: " + confused->text);
  }
  handlers_.reply(std::move(reply));
}

void HelperProcess::end_when_idle() {
  if (exited_ && pipe_closed_ && pending_ == 0) end();
}

void HelperProcess::end() {
  auto keep = shared_from_this();
  ++life_;
  silence_ = {};
  state_ = State::kDown;
  pipe_.reset();
  child_.reset();
  std::string text = reason_ + last_lines();
  handlers_.ended(was_ready_, timed_out_, std::move(text));
}

std::string HelperProcess::last_lines() const {
  if (lines_.empty()) return {};
  std::string text = "\nIts last output:";
  for (const std::string& line : lines_) text += "\n  " + line;
  return text;
}

}  // namespace dask::scheduler
