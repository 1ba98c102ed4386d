// SchedulerLink: this worker's one stream to the scheduler. Connects (again and again, until there is a scheduler), registers, and then
// carries batches both ways. Messages written in one turn of the loop leave as one batch at its end; what only says that data was released,
// for which nobody waits, leaves with the next one or after kPatience.
// A link that ends is not mended: Dask's workers do not reconnect. Source: distributed/worker.py (_register_with_scheduler).
// Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/messages.h"
#include "core/base/result.h"
#include "core/net/comm.h"
#include "core/net/loop.h"
#include "core/wire/keys_writer.h"
#include "core/wire/message.h"
#include "worker/native/native_stream.h"
#include "worker/server/network.h"

namespace dask::worker {

class SchedulerLink {
 public:
  struct Handlers {
    std::function<Value()> registration;       // the message for register-worker, made anew for every attempt
    std::function<void(Value)> registered;     // the scheduler's answer, status OK. Batches wait until resume()
    std::function<void(std::string)> refused;  // its words
    std::function<void(std::vector<StreamMsg>)> batch;
    std::function<void(std::string)> ended;  // the stream is gone, and why; not after close()
  };
  SchedulerLink(net::Loop& loop, std::string address, Handlers handlers);
  ~SchedulerLink();

  void start();
  // Starts the delivery of batches.
  void resume();
  bool connected() const { return comm_ != nullptr; }

  // Starts the next message for the scheduler; write exactly one map. Dropped at the end of the turn when there is no stream.
  wire::MessageWriter& begin();
  // The answers of native tasks: those of a turn leave as one batch, before messages that are begun later.
  NativeAnswers& native_answers();
  void message(const Value& message) { begin().value(message); }
  // Keys of one stimulus that follow each other become one message. Stock schedulers take released keys one by one.
  void add_keys(const std::vector<Key>& keys, const std::string& stimulus_id);
  void release_worker_data(const Key& key, const std::string& stimulus_id);
  // Sends what is written, then ends the stream in order ("close-stream").
  void close();
  // Ends it as a process ends that is killed.
  void abort();

 private:
  void connect();
  void retry(const std::string& why);
  void receive(wire::Frames frames);
  void flush();
  void plan_flush();
  void plan_patient_flush();
  void key_message(std::string_view op, const Key& key, const std::string& stimulus_id);

  net::Loop& loop_;
  std::string address_;
  ConnectRetry retry_;
  Handlers handlers_;
  net::CommPtr comm_;  // registered
  net::CommPtr registering_;
  wire::BatchWriter batch_;
  // At most one of the next two has something: what came first is closed before the other one is begun.
  NativeAnswers native_answers_;
  wire::KeysWriter keys_;
  bool bulk_releases_ = false;
  bool flush_planned_ = false;
  net::Loop::Timer patience_timer_;
  bool patience_armed_ = false;
  bool closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dask::worker
