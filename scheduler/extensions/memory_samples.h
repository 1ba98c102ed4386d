// MemorySamples: the cluster's memory over time, while a client asks for it. Source: distributed/diagnostics/memory_sampler.py.
// Named limit: a sampler that nobody stops keeps its newest kSamplesMax samples.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/extensions/deadlines.h"

namespace dask::scheduler {

class MemorySamples {
 public:
  static constexpr std::size_t kSamplesMax = 1'000'000;
  static constexpr double kIntervalMin_s = 0.001;

  // Sampling starts at once; `id` must be new.
  void start(const std::string& id, const std::string& client, const std::string& measure, double interval_s, double now) {
    samplers_[id] = Sampler{client, measure, std::max(interval_s, kIntervalMin_s), now, {}};
  }
  // Who is due now: id and measure. Each needs a sample().
  std::vector<std::pair<std::string, std::string>> take_due(double now) {
    std::vector<std::pair<std::string, std::string>> due;
    for (auto& [id, sampler] : samplers_) {
      if (sampler.next > now) continue;
      due.emplace_back(id, sampler.measure);
      sampler.next = std::max(sampler.next + sampler.interval_s, now);
    }
    return due;
  }
  void sample(const std::string& id, double wall, std::int64_t nbytes) {
    auto& samples = samplers_.at(id).samples;
    samples.emplace_back(wall, nbytes);
    if (samples.size() > kSamplesMax) samples.pop_front();
  }
  // [(seconds since 1970, bytes)]; none when there is no such sampler.
  std::optional<Value> stop(const std::string& id) {
    auto found = samplers_.extract(id);
    if (!found) return std::nullopt;
    Value::Array samples;
    for (const auto& [wall, nbytes] : found.mapped().samples) samples.push_back(Value(Value::Array{wall, nbytes}));
    return Value(std::move(samples));
  }
  void client_left(const std::string& client) {
    std::erase_if(samplers_, [&](const auto& entry) { return entry.second.client == client; });
  }
  std::set<std::string> clients() const {
    std::set<std::string> names;
    for (const auto& [id, sampler] : samplers_) names.insert(sampler.client);
    return names;
  }
  Deadline next_deadline() const {
    Deadline next;
    for (const auto& [id, sampler] : samplers_) next = earlier(next, sampler.next);
    return next;
  }

 private:
  struct Sampler {
    std::string client;
    std::string measure;
    double interval_s;
    double next;
    std::deque<std::pair<double, std::int64_t>> samples;
  };
  std::map<std::string, Sampler> samplers_;
};

}  // namespace dask::scheduler
