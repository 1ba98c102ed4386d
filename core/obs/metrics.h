// Metrics: gauges, counters and histograms under fixed names, and their Prometheus text. prometheus-cpp stays behind it.
// Names are exposed exactly as given (Dask's counters already end in _total). Handles are cheap copies and live as long as
// their Metrics. Thread safety: handles may be used from any thread; everything else from one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dask {

using MetricLabels = std::map<std::string, std::string>;

class Gauge {
 public:
  void set(double value);
  void add(double change);
  double value() const;

 private:
  friend class Metrics;
  void* metric_ = nullptr;
};

class Counter {
 public:
  void increment(double by = 1);
  // For totals that are counted elsewhere: raises the counter to `total`; a lower total changes nothing.
  void raise_to(double total);
  double value() const;

 private:
  friend class Metrics;
  void* metric_ = nullptr;
};

class Histogram {
 public:
  void observe(double value);

 private:
  friend class Metrics;
  void* metric_ = nullptr;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();

  // The metric `name` with these labels; made when it is asked for first. A name keeps its kind and help; names and label
  // names that Prometheus does not allow are bugs of ours.
  Gauge gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  Counter counter(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  Histogram histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds, const MetricLabels& labels = {});
  // Forgets all series of a gauge or a counter, for labels that come and go. Their handles die.
  void clear(const std::string& name);

  // Runs before every expose(): sets what is cheaper to read than to track.
  void before_expose(std::function<void()> work);
  // text/plain; version=0.0.4
  std::string expose();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The process_* metrics that Prometheus' own clients have (memory, processor time, descriptors, start), read from /proc.
void add_process_metrics(Metrics& metrics);

}  // namespace dask
