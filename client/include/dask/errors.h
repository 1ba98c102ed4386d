// What the API throws. Wrong use (an unknown scheduler, no client, dask::init forgotten) is std::invalid_argument or
// std::logic_error; what tasks and clusters do is one of these.
// With the schedulers "sync" and "threads" an exception of a task arrives as it was thrown; from other processes it is a TaskError.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace dask {

// A task failed in another process. what() is the exception's text, type() its type ("std::out_of_range", Python's "ValueError").
class TaskError : public std::runtime_error {
 public:
  TaskError(std::string key, std::string type, const std::string& message, std::string traceback = {})
      : std::runtime_error(message), key_(std::move(key)), type_(std::move(type)), traceback_(std::move(traceback)) {}
  const std::string& key() const { return key_; }
  const std::string& type() const { return type_; }
  const std::string& traceback() const { return traceback_; }  // text; empty when there is none

 private:
  std::string key_, type_, traceback_;
};

// The workers that ran this task died, more often than distributed.scheduler.allowed-failures.
class KilledWorker : public TaskError {
 public:
  using TaskError::TaskError;
};

// The future was cancelled, by somebody or because the scheduler lost what it needs.
class CancelledError : public std::runtime_error {
 public:
  CancelledError(std::string key, const std::string& why) : std::runtime_error(key + ": " + why), key_(std::move(key)) {}
  const std::string& key() const { return key_; }

 private:
  std::string key_;
};

class TimeoutError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The scheduler cannot be reached, or is gone.
class ConnectionError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace dask
