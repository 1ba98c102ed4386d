// Groups rows by a key and aggregates columns per group; without a key the whole input is one group (a reduction).
// Works in two steps, so that it runs on partitions and in trees: states of one partition merge with states of others, and only the
// end turns states (sum and count) into values (mean). Missing values are skipped, rows with a missing key dropped, as in pandas.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "collections/dataframe/base/arrow_column.h"
#include "collections/dataframe/base/types.h"
#include "collections/dataframe/expr/expression.h"
#include "core/base/result.h"

namespace dask::dataframe {

enum class AggregateKind : std::uint8_t { kSum, kMean, kCount, kSize, kMin, kMax };
std::string_view name_of(AggregateKind kind);

struct Aggregate {
  AggregateKind kind = AggregateKind::kSize;
  Expr input;  // without nodes for kSize
  std::string name;
  auto dask_fields() { return std::tie(kind, input, name); }
  auto dask_fields() const { return std::tie(kind, input, name); }
};

// The type of the result; kInvalidArgument when texts or dates cannot be aggregated that way.
Result<Type> result_type(AggregateKind kind, Type input);

// Numbers the distinct keys of one column in the order in which they come.
class Grouper {
 public:
  static constexpr std::uint32_t kDropped = UINT32_MAX;
  virtual ~Grouper() = default;
  // The group of every row; kDropped where the key is missing.
  virtual void find(const Vec& keys, std::vector<std::uint32_t>& groups) = 0;
  virtual std::size_t groups() const = 0;
  // The keys in the order of their numbers; texts live as long as the grouper.
  virtual Vec keys() const = 0;
};
std::unique_ptr<Grouper> make_grouper(Type type);

class Aggregator {
 public:
  // `key` may be null. Both must have passed check(); they and the aggregates must outlive the aggregator.
  Aggregator(const Expr* key, std::string key_name, const std::vector<Aggregate>& aggregates);
  ~Aggregator();

  void consume(const Batch& batch);
  // The states of another aggregator of the same kind; kMalformed when the table is something else.
  Result<void> merge(const TableData& states);
  TableData states() const;
  // Sorted by key. The key's column is the index.
  TableData finish() const;

 private:
  // Per group: the running value (a sum, the least, the greatest) and how many values went into it.
  struct State {
    Type type = Type::kInt64;
    std::vector<std::int64_t> ints;
    std::vector<double> doubles;
    std::vector<std::string> texts;
    std::vector<std::int64_t> counts;
  };
  void grow(std::size_t groups);
  void update(const Aggregate& aggregate, State& state, const Vec* values, std::size_t rows);
  void merge_state(AggregateKind kind, State& state, const Vec& values, const Vec& counts);
  template <class Each>
  void for_each_group(std::size_t rows, Each each) const;

  const Expr* key_;
  std::string key_name_;
  const std::vector<Aggregate>& aggregates_;
  std::unique_ptr<Grouper> grouper_;  // null without a key
  std::vector<State> states_;
  std::vector<std::uint32_t> groups_;  // of the current batch
};

}  // namespace dask::dataframe
