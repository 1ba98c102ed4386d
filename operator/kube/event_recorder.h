// EventRecorder: writes Events (events.k8s.io/v1) about objects. Repetitions within kEventSeriesSeconds become a count of one Event, and
// each object has a budget (a token bucket), so that trouble which comes again and again does not become load. Events are patient requests:
// what they tell of goes first.
// Thread ownership: the loop's thread.
#pragma once

#include <map>
#include <set>
#include <string>

#include "core/net/loop.h"
#include "core/runtime/clock.h"
#include "operator/kube/client.h"
#include "operator/plan/actions.h"

namespace dask::kube {

inline constexpr double kEventSeriesSeconds = 300;     // repetitions within this time are counted, not written anew
inline constexpr double kEventRefreshSeconds = 30;     // the count of a series is written at most so often
inline constexpr double kEventBurst = 25;              // Events about one object at once
inline constexpr double kEventRefillSeconds = 60;      // each gives one more
inline constexpr std::size_t kEventSeriesMax = 5'000;  // that are remembered; then the oldest are forgotten
inline constexpr std::size_t kEventNoteBytesMax = 1024;
inline constexpr auto kEventsFlushMost = std::chrono::seconds(2);  // that the end of the program waits for them
inline constexpr std::size_t kEventsInFlightMax = 1'000;           // waiting and not answered; beyond it they are dropped and counted

class EventRecorder {
 public:
  EventRecorder(net::Loop& loop, const Clock& clock, KubeClient& client, std::string instance, Metrics* metrics);
  void emit(const EmitEvent& event);
  // Sends what waits, then calls `done`, later: when all is answered, or after kEventsFlushMost.
  void flush(std::function<void()> done);
  std::size_t in_flight() const { return in_flight_; }
  std::uint64_t dropped() const { return dropped_; }

 private:
  struct Series {
    double first = 0;  // monotonic
    double written = 0;
    std::int64_t count = 1;
    std::string name;  // of the Event, once it is written
    std::string ns;
  };
  struct Bucket {
    double tokens = kEventBurst;
    double filled = 0;
  };
  bool spend(const std::string& object, double now);
  void tidy(double now);
  void send(KubeRequest request);
  void flushed();

  net::Loop& loop_;
  const Clock& clock_;
  KubeClient& client_;
  std::string instance_;
  Metrics* metrics_;
  std::map<std::string, Series> series_;
  std::map<std::string, Bucket> buckets_;
  std::uint64_t number_ = 0;
  std::size_t in_flight_ = 0;
  std::uint64_t dropped_ = 0;
  std::function<void()> flushed_;
  net::Loop::Timer flush_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dask::kube
