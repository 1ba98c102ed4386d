// The registry behind Metrics (the only user of prometheus-cpp).
#include "core/obs/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>

#include "core/base/check.h"

namespace dask {

namespace {

// A family with the series that were made of it.
template <class Metric>
struct Family {
  prometheus::Family<Metric>* family = nullptr;
  std::map<MetricLabels, Metric*> series;
};

// A line of help may not break the text format.
std::string one_line(std::string help) {
  std::replace(help.begin(), help.end(), '\n', ' ');
  std::replace(help.begin(), help.end(), '\\', '/');
  return help;
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;
  std::map<std::string, Family<prometheus::Gauge>> gauges;
  std::map<std::string, Family<prometheus::Counter>> counters;
  std::map<std::string, Family<prometheus::Histogram>> histograms;
  std::vector<std::function<void()>> before_expose;

  template <class Metric, class Builder, class... Extra>
  Metric* get(std::map<std::string, Family<Metric>>& families, Builder builder, const std::string& name, const std::string& help,
              const MetricLabels& labels, const Extra&... extra) {
    try {
      Family<Metric>& family = families[name];
      if (!family.family) family.family = &builder.Name(name).Help(one_line(help)).Register(registry);
      Metric*& metric = family.series[labels];
      if (!metric) metric = &family.family->Add({labels.begin(), labels.end()}, extra...);
      return metric;
    } catch (const std::exception& error) {
      DASK_CHECK(false, "metric {}: {}", name, error.what());
    }
    return nullptr;
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Gauge::set(double value) { static_cast<prometheus::Gauge*>(metric_)->Set(value); }
void Gauge::add(double change) { static_cast<prometheus::Gauge*>(metric_)->Increment(change); }
double Gauge::value() const { return static_cast<prometheus::Gauge*>(metric_)->Value(); }

void Counter::increment(double by) { static_cast<prometheus::Counter*>(metric_)->Increment(by); }
void Counter::raise_to(double total) {
  auto* counter = static_cast<prometheus::Counter*>(metric_);
  if (double now = counter->Value(); total > now) counter->Increment(total - now);
}
double Counter::value() const { return static_cast<prometheus::Counter*>(metric_)->Value(); }

void Histogram::observe(double value) { static_cast<prometheus::Histogram*>(metric_)->Observe(value); }

Gauge Metrics::gauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  Gauge handle;
  handle.metric_ = impl_->get(impl_->gauges, prometheus::BuildGauge(), name, help, labels);
  return handle;
}

Counter Metrics::counter(const std::string& name, const std::string& help, const MetricLabels& labels) {
  Counter handle;
  handle.metric_ = impl_->get(impl_->counters, prometheus::BuildCounter(), name, help, labels);
  return handle;
}

Histogram Metrics::histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                             const MetricLabels& labels) {
  Histogram handle;
  handle.metric_ =
      impl_->get(impl_->histograms, prometheus::BuildHistogram(), name, help, labels, prometheus::Histogram::BucketBoundaries(bounds));
  return handle;
}

void Metrics::clear(const std::string& name) {
  const auto forget = [&](auto& kinds) {
    auto found = kinds.find(name);
    if (found == kinds.end()) return;
    for (auto& [labels, metric] : found->second.series) found->second.family->Remove(metric);
    found->second.series.clear();
  };
  forget(impl_->gauges);
  forget(impl_->counters);
}

void Metrics::before_expose(std::function<void()> work) { impl_->before_expose.push_back(std::move(work)); }

std::string Metrics::expose() {
  for (auto& work : impl_->before_expose) work();
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, impl_->registry.Collect());
  return std::move(out).str();
}

}  // namespace dask
