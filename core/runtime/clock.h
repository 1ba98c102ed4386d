// Clock: the two times a program reads. The pure cores never read one; they are given times by the shell that has a Clock.
#pragma once

#include <chrono>

namespace dask {

class Clock {
 public:
  virtual ~Clock() = default;
  // Seconds since 1970, as Python's time.time(): what goes over the wire.
  virtual double wall() const = 0;
  // Seconds since some start that never jump, as time.monotonic(): what durations are measured with.
  virtual double monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  double wall() const override { return seconds(std::chrono::system_clock::now().time_since_epoch()); }
  double monotonic() const override { return seconds(std::chrono::steady_clock::now().time_since_epoch()); }

 private:
  template <class Duration>
  static double seconds(Duration since) {
    return std::chrono::duration<double>(since).count();
  }
};

}  // namespace dask
