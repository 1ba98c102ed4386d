#include "worker/server/digests.h"

#include "core/wire/message.h"

namespace dask::worker {
namespace {

// Dask's CONTEXTS_WITH_SPAN_ID: their names have a span's id in second place.
bool has_span(const Value& name) {
  const Value::Array* parts = name.array_if();
  return parts && parts->size() > 2 && ((*parts)[0].as_string() == "execute" || (*parts)[0].as_string() == "p2p");
}

void add_to(std::unordered_map<std::string, std::pair<Value, double>>& sums, Value name, double value) {
  std::string key = wire::encode_msgpack(name);
  auto [it, is_new] = sums.try_emplace(std::move(key), std::move(name), 0.0);
  it->second.second += value;
}

Value map_of(std::unordered_map<std::string, std::pair<Value, double>> sums) {
  Value::Map map;
  for (auto& [key, sum] : sums) map.emplace_back(std::move(sum.first), sum.second);
  return Value(std::move(map));
}

}  // namespace

void Digests::add(Value name, double value) { add_to(sums_, std::move(name), value); }

std::pair<Value, Value> Digests::take() {
  std::unordered_map<std::string, std::pair<Value, double>> squashed, with_spans;
  for (auto& [key, sum] : std::exchange(sums_, {})) {
    if (has_span(sum.first)) {
      Value::Array parts = *sum.first.array_if();
      const bool known_span = !parts[1].is_nil();
      parts.erase(parts.begin() + 1);
      add_to(squashed, Value(std::move(parts)), sum.second);
      if (known_span) with_spans.emplace(key, std::move(sum));
    } else {
      add_to(squashed, std::move(sum.first), sum.second);
    }
  }
  return {map_of(std::move(squashed)), map_of(std::move(with_spans))};
}

}  // namespace dask::worker
