#include "worker/server/scheduler_link.h"

#include "core/runtime/log.h"

namespace dask::worker {

namespace {
constexpr auto kPatience = std::chrono::milliseconds(2);  // Dask's BatchedSend holds everything back that long
}  // namespace

SchedulerLink::SchedulerLink(net::Loop& loop, std::string address, Handlers handlers)
    : loop_(loop), address_(std::move(address)), retry_(loop, address_), handlers_(std::move(handlers)) {}

SchedulerLink::~SchedulerLink() {
  *alive_ = false;
  abort();
}

void SchedulerLink::start() { connect(); }

void SchedulerLink::connect() {
  auto address = net::parse_address(address_);
  if (!address) return handlers_.refused(address.error().message);
  net::connect(loop_, *address, [this, alive = alive_](Result<net::CommPtr> comm) {
    if (!*alive || closed_) return;
    if (!comm) return retry(comm.error().message);
    registering_ = *std::move(comm);
    registering_->on_message([this, alive](wire::Frames frames) {
      if (*alive) receive(std::move(frames));
    });
    registering_->on_closed([this, alive](Error error) {
      if (!*alive) return;
      registering_ = nullptr;
      if (std::exchange(comm_, nullptr)) return handlers_.ended(error.message);
      if (!closed_) retry(error.message);
    });
    registering_->send(wire::encode_message(handlers_.registration()));
  });
}

void SchedulerLink::retry(const std::string& why) {
  retry_.later(why, [this] { connect(); });
}

void SchedulerLink::receive(wire::Frames frames) {
  if (comm_) {
    auto batch = wire::decode_stream(frames);
    if (batch) return handlers_.batch(*std::move(batch));
    comm_->abort();
    comm_ = nullptr;
    return handlers_.ended("the scheduler sent a message that cannot be read: " + batch.error().message);
  }
  auto answer = wire::decode_message(frames);
  if (!answer || (*answer)["status"].as_string() != "OK") {
    const std::string words(answer ? (*answer)["message"].as_string(answer->repr()) : std::string_view(answer.error().message));
    closed_ = true;
    registering_->close();
    registering_ = nullptr;
    return handlers_.refused(words);
  }
  comm_ = std::move(registering_);
  comm_->pause_reading();
  bulk_releases_ = (*answer)["dask-native"].is_map();
  handlers_.registered(*std::move(answer));
}

void SchedulerLink::resume() {
  if (comm_) comm_->resume_reading();
}

void SchedulerLink::plan_flush() {
  if (!std::exchange(flush_planned_, true))
    loop_.at_end_of_turn([this, alive = alive_] {
      if (*alive) flush();
    });
}

void SchedulerLink::plan_patient_flush() {
  if (flush_planned_ || std::exchange(patience_armed_, true)) return;
  patience_timer_ = loop_.after(kPatience, [this] {
    patience_armed_ = false;
    flush();
  });
}

wire::MessageWriter& SchedulerLink::begin() {
  plan_flush();
  keys_.close(batch_);
  if (!native_answers_.empty()) native_answers_.write(batch_);
  return batch_.begin();
}

NativeAnswers& SchedulerLink::native_answers() {
  plan_flush();
  keys_.close(batch_);
  return native_answers_;
}

void SchedulerLink::key_message(std::string_view op, const Key& key, const std::string& stimulus_id) {
  if (!native_answers_.empty()) native_answers_.write(batch_);
  if (!keys_.empty() && (keys_.op() != op || keys_.stimulus_id() != stimulus_id)) keys_.close(batch_);
  keys_.add(op, key.msgpack(), stimulus_id);
}

void SchedulerLink::add_keys(const std::vector<Key>& keys, const std::string& stimulus_id) {
  if (!keys.empty()) plan_flush();
  for (const Key& key : keys) key_message("add-keys", key, stimulus_id);
}

void SchedulerLink::release_worker_data(const Key& key, const std::string& stimulus_id) {
  if (bulk_releases_) {
    plan_patient_flush();
    return key_message("release-worker-data", key, stimulus_id);
  }
  wire::MessageWriter& w = begin();
  w.map(3);
  w.string("op");
  w.string("release-worker-data");
  w.string("key");
  w.raw(key.msgpack());
  w.string("stimulus_id");
  w.string(stimulus_id);
}

void SchedulerLink::flush() {
  flush_planned_ = false;
  keys_.close(batch_);
  if (!native_answers_.empty()) native_answers_.write(batch_);
  if (batch_.empty()) return;
  wire::Frames frames = batch_.take();
  if (comm_ && !comm_->closed()) comm_->send(std::move(frames));
}

void SchedulerLink::close() {
  if (std::exchange(closed_, true)) return;
  retry_.cancel();
  if (comm_) {
    message(Value(Value::Map{{"op", "close-stream"}}));
    flush();
    comm_->close();
    comm_ = nullptr;
  }
  if (registering_) registering_->abort();
  registering_ = nullptr;
}

void SchedulerLink::abort() {
  closed_ = true;
  retry_.cancel();
  for (net::CommPtr* comm : {&comm_, &registering_}) {
    if (*comm) (*comm)->abort();
    *comm = nullptr;
  }
}

}  // namespace dask::worker
