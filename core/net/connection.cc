#include "core/net/connection.h"

#include "core/runtime/log.h"

namespace dask::net {

void Connection::start() {
  comm_->on_message([self = weak_from_this()](wire::Frames frames) {
    if (auto connection = self.lock()) connection->receive(std::move(frames));
  });
  comm_->on_closed([self = weak_from_this()](Error error) {
    if (auto connection = self.lock()) connection->ended(error);
  });
}

void Connection::receive(wire::Frames frames) {
  if (!on_batch_) {
    waiting_.push_back(std::move(frames));
    return serve_next();
  }
  auto batch = wire::decode_stream(frames);
  if (!batch) {
    ++host_.counters().malformed_messages;
    log_warning("Dropping {}: {}", comm_->peer_address(), batch.error().message);
    comm_->abort();
    return ended(batch.error());
  }
  host_.counters().stream_messages += batch->size();
  const auto on_batch = on_batch_;  // a message may replace it
  on_batch(*std::move(batch));
}

void Connection::serve_next() {
  while (!busy_ && !waiting_.empty() && !on_batch_ && !comm_->closed()) {
    wire::Frames frames = std::move(waiting_.front());
    waiting_.pop_front();
    auto message = wire::decode_message(frames);
    if (acknowledgement_) {
      acknowledged(message && message->as_string() == "OK");
      continue;
    }
    // A nanny says on its registration's connection when its worker is up; nothing is asked.
    if (message && message->is_map() && (*message)["op"].is_nil() && (*message)["status"].is_string()) continue;
    if (!message || !message->is_map() || !(*message)["op"].is_string()) {
      ++host_.counters().malformed_messages;
      log_warning("Dropping {}: {}", comm_->peer_address(),
                  message ? "a request needs a map with a string under 'op'" : message.error().message);
      comm_->abort();
      return ended(Error{ErrorCode::kMalformed, "bad request"});
    }
    serve(*std::move(message));
  }
}

void Connection::serve(Value message) {
  const std::string op(message["op"].as_string());
  const bool wants_reply = message["reply"].is_nil() || message["reply"].as_bool();
  const bool close_after = message["close"].as_bool();
  ++host_.counters().rpc_calls;
  if (op == "close") return host_.drop(*this);
  if (host_.take_over(shared_from_this(), op, message)) return;

  busy_ = true;
  auto call = std::make_shared<RpcCall>(std::move(message), comm_, [self = weak_from_this(), wants_reply, close_after](Value answer) {
    auto connection = self.lock();
    if (!connection) return;
    connection->busy_ = false;
    if (auto call_now = connection->call_.lock()) connection->acknowledgement_ = call_now->take_acknowledgement();
    if (wants_reply && !connection->comm_->closed()) connection->comm_->send(wire::encode_message(answer));
    if (close_after) return connection->host_.drop(*connection);
    // Not from here: the handler may still be on the stack.
    connection->host_.loop().post([self] {
      if (auto next = self.lock()) next->serve_next();
    });
  });
  call_ = call;
  host_.serve(op, std::move(call));
}

void Connection::become_stream(std::function<void(std::vector<StreamMsg>)> on_batch, std::function<void()> on_end) {
  on_batch_ = std::move(on_batch);
  on_end_ = std::move(on_end);
  std::deque<wire::Frames> waiting = std::move(waiting_);
  for (wire::Frames& frames : waiting)
    if (!comm_->closed()) receive(std::move(frames));
}

void Connection::linger() {
  on_batch_ = [](std::vector<StreamMsg>) {};
  on_end_ = nullptr;
}

void Connection::close() {
  on_batch_ = nullptr;
  on_end_ = nullptr;
  acknowledgement_ = nullptr;
  abandon_call();
  if (!comm_->closed()) comm_->close();
}

void Connection::abandon_call() {
  if (auto call = call_.lock()) call->abandon();
}

void Connection::acknowledged(bool arrived) {
  if (auto told = std::exchange(acknowledgement_, {})) told(arrived);
}

void Connection::ended(const Error& error) {
  log_debug("Connection of {} ended: {}", comm_->peer_address(), error.message);
  auto keep_alive = shared_from_this();
  acknowledged(false);
  if (auto on_end = std::exchange(on_end_, {})) on_end();
  host_.drop(*this);
}

}  // namespace dask::net
