// The pool's bookkeeping: idle connections per peer, calls under way, calls that wait for a free connection.
#include "core/net/rpc.h"

#include <fmt/format.h>

#include <set>
#include <unordered_map>

#include "core/runtime/log.h"
#include "core/wire/message.h"

namespace dask::net {

namespace {

// One call, from the request to the reply. Finishes exactly once.
struct Call {
  std::string address;
  std::string op;
  Value message;
  std::function<void(Result<Value>)> done;
  bool acknowledge = false;
  CommPtr comm;
  Loop::Timer timer;
};
using CallPtr = std::shared_ptr<Call>;

}  // namespace

struct RpcPool::Impl : std::enable_shared_from_this<RpcPool::Impl> {
  Impl(Loop& the_loop, Limits the_limits) : loop(the_loop), limits(the_limits) {}

  void start(const CallPtr& call) {
    auto& peer_idle = idle[call->address];
    while (!peer_idle.empty()) {
      CommPtr comm = std::move(peer_idle.back());
      peer_idle.pop_back();
      --idle_count;
      if (!comm->closed()) return send(call, std::move(comm));
      --open;
    }
    idle.erase(call->address);
    if (open >= limits.connections_max && !evict_one()) {
      waiting.push_back(call);
      return;
    }
    auto address = parse_address(call->address);
    if (!address) return fail_later(call, address.error());
    ++open;
    under_way.insert(call);
    connect(loop, *address, [me = shared_from_this(), call](Result<CommPtr> comm) {
      if (!me->under_way.count(call)) {  // timed out, or the pool is closed
        --me->open;
        if (comm) (*comm)->close();
        return;
      }
      if (comm) return me->send(call, *std::move(comm));
      --me->open;
      me->finish(call, fail(std::move(comm).error()));
    });
  }

  void send(const CallPtr& call, CommPtr comm) {
    under_way.insert(call);
    call->comm = comm;
    comm->on_message([me = shared_from_this(), call](wire::Frames frames) { me->reply(call, frames); });
    comm->on_closed([me = shared_from_this(), call](Error error) {
      --me->open;
      call->comm = nullptr;
      me->finish(call, fail(error.code, fmt::format("the reply to '{}' did not come: {}", call->op, error.message)));
    });
    comm->take_frames_with(call->acknowledge ? take_frame : nullptr);
    comm->send(wire::encode_message(call->message));
    call->message = Value();
  }

  void reply(const CallPtr& call, const wire::Frames& frames) {
    auto value = wire::decode_message(frames);
    CommPtr comm = std::move(call->comm);
    call->comm = nullptr;
    if (!value) {
      --open;
      comm->abort();
      return finish(call, fail(value.error().code,
                               fmt::format("the reply of {} to '{}' cannot be read: {}", call->address, call->op, value.error().message)));
    }
    if (call->acknowledge && (*value)["status"].as_string() != "busy") comm->send(wire::encode_message(Value("OK")));
    keep(call->address, std::move(comm));
    finish(call, *std::move(value));
  }

  // Puts a connection back for the next call. One that speaks unasked is out of step with its replies: it is dropped.
  void keep(const std::string& address, CommPtr comm) {
    if (closed) {
      --open;
      comm->close();
      return;
    }
    std::weak_ptr<Comm> weak = comm;
    auto drop = [me = weak_from_this(), weak, address] {
      auto impl = me.lock();
      auto gone = weak.lock();
      if (impl && gone) impl->remove_idle(address, gone);
    };
    comm->on_message([drop, weak, address](const wire::Frames&) {
      log_warning("{} sent a message that nobody asked for; the connection is closed", address);
      drop();
      if (auto comm_now = weak.lock()) comm_now->abort();
    });
    comm->on_closed([drop](const Error&) { drop(); });
    idle[address].push_back(std::move(comm));
    ++idle_count;
  }

  void remove_idle(const std::string& address, const CommPtr& comm) {
    auto found = idle.find(address);
    if (found == idle.end()) return;
    if (std::erase(found->second, comm) == 0) return;
    --idle_count;
    --open;
    if (found->second.empty()) idle.erase(found);
    start_waiting();
  }

  // Closes one idle connection to make room for another peer's.
  bool evict_one() {
    for (auto found = idle.begin(); found != idle.end(); found = idle.erase(found)) {
      if (found->second.empty()) continue;
      CommPtr comm = std::move(found->second.front());
      found->second.pop_front();
      --idle_count;
      --open;
      comm->close();
      if (found->second.empty()) idle.erase(found);
      return true;
    }
    return false;
  }

  void start_waiting() {
    while (!closed && !waiting.empty() && (open < limits.connections_max || idle_count > 0)) {
      CallPtr call = std::move(waiting.front());
      waiting.pop_front();
      start(call);
    }
  }

  void finish(const CallPtr& call, Result<Value> result) {
    under_way.erase(call);
    call->timer.cancel();
    auto done = std::move(call->done);
    call->done = nullptr;
    auto me = shared_from_this();
    if (done) done(std::move(result));
    me->start_waiting();
  }

  // Fails a call that has not begun; never from inside call().
  void fail_later(const CallPtr& call, Error error) {
    under_way.insert(call);
    loop.post([me = shared_from_this(), call, error = std::move(error)]() mutable {
      if (me->under_way.count(call)) me->finish(call, fail(std::move(error)));
    });
  }

  void time_out(const CallPtr& call) {
    std::erase(waiting, call);
    if (call->comm) {
      --open;
      call->comm->abort();
      call->comm = nullptr;
    }
    finish(call, fail(ErrorCode::kTimeout, fmt::format("{} did not reply to '{}' within {:.3g} s", call->address, call->op,
                                                       std::chrono::duration<double>(limits.reply_timeout).count())));
  }

  void close() {
    closed = true;
    auto peers = std::move(idle);
    idle.clear();
    open -= idle_count;
    idle_count = 0;
    for (auto& [address, comms] : peers) {
      for (auto& comm : comms) comm->close();
    }
    auto calls = std::move(under_way);
    under_way.clear();
    calls.insert(waiting.begin(), waiting.end());
    waiting.clear();
    for (const auto& call : calls) {
      if (call->comm) {
        --open;
        call->comm->abort();
        call->comm = nullptr;
      }
      fail_later(call, {ErrorCode::kUnavailable, fmt::format("'{}' to {} was given up: this program is closing", call->op, call->address)});
    }
  }

  Loop& loop;
  Limits limits;
  std::unordered_map<std::string, std::deque<CommPtr>> idle;
  std::size_t idle_count = 0;
  std::size_t open = 0;  // connections that exist or are being made
  std::set<CallPtr> under_way;
  std::deque<CallPtr> waiting;
  TakeFrame take_frame;
  bool closed = false;
};

RpcPool::RpcPool(Loop& loop) : RpcPool(loop, Limits{}) {}
RpcPool::RpcPool(Loop& loop, Limits limits) : impl_(std::make_shared<Impl>(loop, limits)) {}
RpcPool::~RpcPool() { impl_->close(); }

void RpcPool::call(const std::string& address, Value message, std::function<void(Result<Value>)> done, bool acknowledge) {
  auto call = std::make_shared<Call>();
  call->address = address;
  call->op = std::string(message["op"].as_string());
  call->message = std::move(message);
  call->message.set("reply", true);
  call->done = std::move(done);
  call->acknowledge = acknowledge;
  if (impl_->closed) {
    impl_->fail_later(call, {ErrorCode::kUnavailable, fmt::format("'{}' to {} was not sent: this program is closing", call->op, address)});
    return;
  }
  if (impl_->limits.reply_timeout > Loop::Duration::zero()) {
    call->timer = impl_->loop.after(impl_->limits.reply_timeout, [impl = impl_, call] { impl->time_out(call); });
  }
  impl_->start(call);
}

void RpcPool::take_frames_with(TakeFrame take) { impl_->take_frame = std::move(take); }

void RpcPool::forget(const std::string& address) {
  auto found = impl_->idle.find(address);
  if (found == impl_->idle.end()) return;
  auto comms = std::move(found->second);
  impl_->idle.erase(found);
  impl_->idle_count -= comms.size();
  impl_->open -= comms.size();
  for (auto& comm : comms) comm->close();
  impl_->start_waiting();
}

void RpcPool::close() { impl_->close(); }
std::size_t RpcPool::open_connections() const { return impl_->open; }

}  // namespace dask::net
