#include "scheduler/extensions/profiles.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

namespace dask::scheduler {
namespace {

Value merge(const std::vector<const Value*>& profiles, int depth) {
  std::int64_t count = 0;
  Value::Map children;
  std::vector<std::vector<const Value*>> parts;  // of each child
  std::map<std::string_view, std::size_t> index;
  for (const Value* profile : profiles) {
    count += (*profile)["count"].as_int();
    const Value::Map* calls = depth > 0 ? (*profile)["children"].map_if() : nullptr;
    if (!calls) continue;
    for (const auto& [name, child] : *calls) {
      const std::string* text = name.string();
      if (!text || !child.is_map()) continue;
      const auto [at, made] = index.emplace(*text, children.size());
      if (made) {
        children.emplace_back(name, Value());
        parts.emplace_back();
      }
      parts[at->second].push_back(&child);
    }
  }
  for (std::size_t i = 0; i < children.size(); ++i) children[i].second = merge(parts[i], depth - 1);
  const Value& first = *profiles.front();
  return Value(Value::Map{{"description", first["description"]},
                          {"children", Value(std::move(children))},
                          {"count", count},
                          {"identifier", first["identifier"]}});
}

// The start of the interval that a time is in: Python's t // cycle * cycle.
double interval_of(double t, double cycle_s) { return std::floor(t / cycle_s) * cycle_s; }

// The pairs (time, what) of all workers, by time.
std::vector<std::pair<double, const Value*>> series_of(const std::vector<Value>& metadata, std::string_view name) {
  std::vector<std::pair<double, const Value*>> series;
  for (const Value& worker : metadata)
    if (const Value::Array* pairs = worker[name].array_if())
      for (const Value& pair : *pairs)
        if (const Value::Array* items = pair.array_if(); items && items->size() == 2)
          series.emplace_back((*items)[0].as_double(), &(*items)[1]);
  std::stable_sort(series.begin(), series.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return series;
}

}  // namespace

Value empty_profile() {
  return Value(Value::Map{{"count", 0},
                          {"children", Value::map()},
                          {"identifier", "root"},
                          {"description", Value(Value::Map{{"filename", ""}, {"name", ""}, {"line_number", 0}, {"line", ""}})}});
}

Value merge_profiles(const std::vector<Value>& profiles) {
  std::vector<const Value*> usable;
  for (const Value& profile : profiles)
    if (profile.is_map() && profile["identifier"].is_string()) usable.push_back(&profile);
  return usable.empty() ? empty_profile() : merge(usable, kProfileDepthMax);
}

Value merge_profile_metadata(const std::vector<Value>& metadata, double cycle_s) {
  std::vector<std::pair<double, std::int64_t>> sums;
  for (const auto& [t, n] : series_of(metadata, "counts")) {
    const double interval = interval_of(t, cycle_s);
    if (sums.empty() || sums.back().first != interval) sums.emplace_back(interval, 0);
    sums.back().second += n->as_int();
  }
  Value::Array counts;
  for (const auto& [t, n] : sums) counts.push_back(Value(Value::Array{t, n}));

  const auto series = series_of(metadata, "keys");
  std::vector<double> intervals;
  std::vector<std::string> prefixes;
  std::map<std::string, std::vector<std::int64_t>> by_prefix;  // one number per interval
  for (const auto& [t, entry] : series)
    if (const Value::Map* map = entry->map_if())
      for (const auto& [prefix, n] : *map)
        if (const std::string* text = prefix.string(); text && by_prefix.try_emplace(*text).second) prefixes.push_back(*text);
  for (const auto& [t, entry] : series) {
    const double interval = interval_of(t, cycle_s);
    if (intervals.empty() || intervals.back() < interval) {
      intervals.push_back(interval);
      for (auto& [prefix, numbers] : by_prefix) numbers.push_back(0);
    }
    if (const Value::Map* map = entry->map_if())
      for (const auto& [prefix, n] : *map)
        if (const std::string* text = prefix.string()) by_prefix[*text].back() += n.as_int();
  }
  Value::Map keys;
  for (const std::string& prefix : prefixes) {
    Value::Array pairs;
    for (std::size_t i = 0; i < intervals.size(); ++i) pairs.push_back(Value(Value::Array{intervals[i], by_prefix[prefix][i]}));
    keys.emplace_back(prefix, Value(std::move(pairs)));
  }
  return Value(Value::Map{{"counts", Value(std::move(counts))}, {"keys", Value(std::move(keys))}});
}

}  // namespace dask::scheduler
