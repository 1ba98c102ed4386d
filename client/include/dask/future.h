// Future<T>: a result on a cluster, there or still to come. While a future (or a copy) lives the cluster keeps the result.
// Futures are lazy values too: delayed<f>(future) and client.submit<f>(future) use the result where it is.
// Thread safety: as a shared_ptr's: different copies may be used by different threads.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dask/delayed.h"
#include "dask/graph.h"

namespace dask {

namespace detail {

// Each throws what errors.h says. `timeout_s` < 0: no limit.
native::NativeValue future_value(FutureState& state, double timeout_s);
std::vector<native::NativeValue> future_values(const std::vector<std::shared_ptr<FutureState>>& states, double timeout_s);
std::string future_status(const FutureState& state);
void throw_failure(const FutureState& state);
void cancel_futures(const std::vector<std::shared_ptr<FutureState>>& states);
// Waits for all (or the first): true when that came in time.
bool wait_for(const std::vector<std::shared_ptr<FutureState>>& states, bool all, double timeout_s);

// Tells which of several futures ended, in the order in which they did.
class Completions {
 public:
  explicit Completions(const std::vector<std::shared_ptr<FutureState>>& states);
  ~Completions();
  std::size_t next();  // waits

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace detail

template <class T>
class Future {
 public:
  using Type = T;
  explicit Future(NodePtr node) : node_(std::move(node)) {}

  // Waits and fetches. TimeoutError after `timeout_s`, TaskError, KilledWorker, CancelledError.
  T result(std::optional<double> timeout_s = {}) const {
    return detail::value_as<T>(detail::future_value(*node_->future, timeout_s.value_or(-1)), node_->key);
  }
  // Waits; gives nothing when the task succeeded, else its failure.
  std::optional<TaskError> exception(std::optional<double> timeout_s = {}) const {
    detail::wait_for({node_->future}, true, timeout_s.value_or(-1)) ? void() : throw TimeoutError(node_->key + " has not ended in time");
    try {
      detail::throw_failure(*node_->future);
    } catch (const TaskError& error) {
      return error;
    }
    return std::nullopt;
  }
  bool done() const { return status() != "pending"; }
  // "pending", "finished", "error", "cancelled", "lost"
  std::string status() const { return detail::future_status(*node_->future); }
  bool cancelled() const { return status() == "cancelled"; }
  void cancel() const { detail::cancel_futures({node_->future}); }

  const std::string& key() const { return node_->key; }
  // <Future: finished, type: int, key: inc-2b7e…>
  std::string repr() const { return "<Future: " + status() + ", type: " + native::type_name<T>() + ", key: " + key() + ">"; }
  const NodePtr& node() const { return node_; }

 private:
  NodePtr node_;
};

namespace detail {
template <class T>
std::vector<std::shared_ptr<FutureState>> states_of(const std::vector<Future<T>>& futures) {
  std::vector<std::shared_ptr<FutureState>> states;
  for (const Future<T>& future : futures) states.push_back(future.node()->future);
  return states;
}
}  // namespace detail

template <class T>
struct Waited {
  std::vector<Future<T>> done, not_done;
};
enum class ReturnWhen { kAllCompleted, kFirstCompleted };

// Waits until the futures have ended, well or badly. TimeoutError when that takes longer than `timeout_s`.
template <class T>
Waited<T> wait(const std::vector<Future<T>>& futures, std::optional<double> timeout_s = {}, ReturnWhen when = ReturnWhen::kAllCompleted) {
  if (!detail::wait_for(detail::states_of(futures), when == ReturnWhen::kAllCompleted, timeout_s.value_or(-1)))
    throw TimeoutError("the futures have not ended in time");
  Waited<T> waited;
  for (const Future<T>& future : futures) (future.done() ? waited.done : waited.not_done).push_back(future);
  return waited;
}

// for (dask::Future<int> future : dask::as_completed(futures)) ...: each once, in the order in which they end.
template <class T>
class AsCompleted {
 public:
  explicit AsCompleted(std::vector<Future<T>> futures) : futures_(std::move(futures)), completions_(detail::states_of(futures_)) {}

  class Iterator {
   public:
    Future<T> operator*() const { return all_->futures_[current_]; }
    Iterator& operator++() {
      step();
      return *this;
    }
    bool operator!=(const Iterator& other) const { return left_ != other.left_; }

   private:
    friend class AsCompleted;
    Iterator(AsCompleted* all, std::size_t left) : all_(all), left_(left + 1) { step(); }
    Iterator() = default;
    void step() {
      if (--left_ > 0) current_ = all_->completions_.next();
    }
    AsCompleted* all_ = nullptr;
    std::size_t left_ = 0;  // with the current one
    std::size_t current_ = 0;
  };
  Iterator begin() { return Iterator(this, futures_.size()); }
  Iterator end() { return Iterator(); }

 private:
  std::vector<Future<T>> futures_;
  detail::Completions completions_;
};
template <class T>
AsCompleted<T> as_completed(std::vector<Future<T>> futures) {
  return AsCompleted<T>(std::move(futures));
}

}  // namespace dask
