// The loops that update, merge and finish the states of groups.
#include "collections/dataframe/expr/aggregate.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "collections/dataframe/expr/evaluate.h"

namespace dask::dataframe {
namespace {

// The type of the running value: sums of whole numbers and truths stay whole, means are summed as doubles.
Type state_type(AggregateKind kind, Type input) {
  switch (kind) {
    case AggregateKind::kMean: return Type::kFloat64;
    case AggregateKind::kSum: return input == Type::kFloat64 ? Type::kFloat64 : Type::kInt64;
    case AggregateKind::kMin:
    case AggregateKind::kMax: return input;
    case AggregateKind::kCount:
    case AggregateKind::kSize: return Type::kInt64;
  }
  return Type::kInt64;
}

bool is_extreme(AggregateKind kind) { return kind == AggregateKind::kMin || kind == AggregateKind::kMax; }

template <class T>
bool better(AggregateKind kind, const T& candidate, const T& current) {
  return kind == AggregateKind::kMin ? candidate < current : current < candidate;
}

std::vector<std::uint32_t> sorted_order(const Vec& keys) {
  std::vector<std::uint32_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0u);
  const auto by = [&](const auto& values) {
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return values[a] < values[b]; });
  };
  switch (keys.type) {
    case Type::kInt64:
    case Type::kTimestamp: by(keys.ints); break;
    case Type::kFloat64: by(keys.doubles); break;
    case Type::kBoolean: by(keys.bools); break;
    case Type::kUtf8: by(keys.texts); break;
  }
  return order;
}

void add_column(TableData& table, std::string name, const Vec& values) {
  ColumnBuilder builder(values.type);
  builder.append(values);
  table.schema.push_back({std::move(name), values.type});
  table.columns.push_back(builder.finish());
  table.rows = table.columns.back().length;
}

}  // namespace

std::string_view name_of(AggregateKind kind) {
  switch (kind) {
    case AggregateKind::kSum: return "sum";
    case AggregateKind::kMean: return "mean";
    case AggregateKind::kCount: return "count";
    case AggregateKind::kSize: return "size";
    case AggregateKind::kMin: return "min";
    case AggregateKind::kMax: return "max";
  }
  return "?";
}

Result<Type> result_type(AggregateKind kind, Type input) {
  const bool summed = kind == AggregateKind::kSum || kind == AggregateKind::kMean;
  if (summed && (input == Type::kUtf8 || input == Type::kTimestamp)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}() of a {} column is not defined; numbers and truths have one", name_of(kind), dask_name(input)));
  }
  return state_type(kind, input);
}

Aggregator::Aggregator(const Expr* key, std::string key_name, const std::vector<Aggregate>& aggregates)
    : key_(key), key_name_(std::move(key_name)), aggregates_(aggregates) {
  if (key_) grouper_ = make_grouper(key_->type());
  for (const Aggregate& aggregate : aggregates_) {
    State state;
    state.type = state_type(aggregate.kind, aggregate.input.nodes.empty() ? Type::kInt64 : aggregate.input.type());
    states_.push_back(std::move(state));
  }
  if (!key_) grow(1);
}

Aggregator::~Aggregator() = default;

void Aggregator::grow(std::size_t groups) {
  for (State& state : states_) {
    state.counts.resize(groups, 0);
    if (state.type == Type::kFloat64) {
      state.doubles.resize(groups, 0);
    } else if (state.type == Type::kUtf8) {
      state.texts.resize(groups);
    } else {
      state.ints.resize(groups, 0);
    }
  }
}

template <class Each>
void Aggregator::for_each_group(std::size_t rows, Each each) const {
  if (!key_) {
    for (std::size_t row = 0; row < rows; ++row) each(row, 0u);
    return;
  }
  for (std::size_t row = 0; row < rows; ++row)
    if (groups_[row] != Grouper::kDropped) each(row, groups_[row]);
}

void Aggregator::consume(const Batch& batch) {
  if (key_) {
    grouper_->find(*evaluate(*key_, batch), groups_);
    grow(grouper_->groups());
  }
  for (std::size_t i = 0; i < aggregates_.size(); ++i) {
    const Aggregate& aggregate = aggregates_[i];
    const VecPtr values = aggregate.input.nodes.empty() ? nullptr : evaluate(aggregate.input, batch);
    update(aggregate, states_[i], values.get(), batch.rows);
  }
}

void Aggregator::update(const Aggregate& aggregate, State& state, const Vec* values, std::size_t rows) {
  const AggregateKind kind = aggregate.kind;
  std::int64_t* counts = state.counts.data();
  if (!values) {
    if (!key_) {
      counts[0] += static_cast<std::int64_t>(rows);
    } else {
      for_each_group(rows, [counts](std::size_t, std::uint32_t group) { ++counts[group]; });
    }
    return;
  }
  // `value(row)` and `valid(row)` see the column; `into` is the running value.
  const auto sum = [&](auto* into, auto value, auto valid) {
    for_each_group(rows, [&](std::size_t row, std::uint32_t group) {
      const bool counted = valid(row);
      if (counted) into[group] += value(row);
      counts[group] += counted;
    });
  };
  const auto extreme = [&](auto* into, auto value, auto valid) {
    for_each_group(rows, [&](std::size_t row, std::uint32_t group) {
      if (!valid(row)) return;
      if (counts[group]++ == 0 || better(kind, value(row), static_cast<decltype(value(row))>(into[group]))) into[group] = value(row);
    });
  };
  const auto count = [&](auto valid) { for_each_group(rows, [&](std::size_t row, std::uint32_t group) { counts[group] += valid(row); }); };
  const auto with = [&](auto value, auto valid) {
    using T = decltype(value(0));
    if (kind == AggregateKind::kCount) return count(valid);
    if constexpr (std::is_same_v<T, std::string_view>) {
      if (is_extreme(kind)) extreme(state.texts.data(), value, valid);
    } else if (is_extreme(kind)) {
      if constexpr (std::is_same_v<T, double>) {
        extreme(state.doubles.data(), value, valid);
      } else {
        extreme(state.ints.data(), value, valid);
      }
    } else if (state.type == Type::kFloat64) {
      sum(
          state.doubles.data(), [&](std::size_t row) { return static_cast<double>(value(row)); }, valid);
    } else {
      if constexpr (!std::is_same_v<T, double>)
        sum(
            reinterpret_cast<std::uint64_t*>(state.ints.data()), [&](std::size_t row) { return static_cast<std::uint64_t>(value(row)); },
            valid);
    }
  };
  switch (values->type) {
    case Type::kInt64:
    case Type::kTimestamp:
      return with([v = values->ints.data()](std::size_t row) { return v[row]; },
                  [v = values->ints.data()](std::size_t row) { return v[row] != kNaT; });
    case Type::kFloat64:
      return with([v = values->doubles.data()](std::size_t row) { return v[row]; },
                  [v = values->doubles.data()](std::size_t row) { return v[row] == v[row]; });
    case Type::kBoolean:
      return with([v = values->bools.data()](std::size_t row) { return static_cast<std::int64_t>(v[row]); },
                  [v = values->bools.data()](std::size_t row) { return v[row] != kMissingBool; });
    case Type::kUtf8:
      return with([v = values->texts.data()](std::size_t row) { return v[row]; },
                  [v = values->texts.data()](std::size_t row) { return v[row].data() != nullptr; });
  }
}

void Aggregator::merge_state(AggregateKind kind, State& state, const Vec& values, const Vec& counts) {
  for_each_group(counts.ints.size(), [&](std::size_t row, std::uint32_t group) {
    const std::int64_t n = counts.ints[row];
    if (n == 0) return;
    const bool first = state.counts[group] == 0;
    state.counts[group] += n;
    const auto merge_value = [&](auto& into, const auto& value) {
      if (is_extreme(kind)) {
        if (first || better(kind, value, static_cast<std::decay_t<decltype(value)>>(into))) into = value;
      }
    };
    switch (state.type) {
      case Type::kFloat64:
        merge_value(state.doubles[group], values.doubles[row]);
        if (!is_extreme(kind)) state.doubles[group] += values.doubles[row];
        break;
      case Type::kUtf8: merge_value(state.texts[group], values.texts[row]); break;
      case Type::kBoolean: merge_value(state.ints[group], static_cast<std::int64_t>(values.bools[row])); break;
      default:
        merge_value(state.ints[group], values.ints[row]);
        if (!is_extreme(kind))
          state.ints[group] =
              static_cast<std::int64_t>(static_cast<std::uint64_t>(state.ints[group]) + static_cast<std::uint64_t>(values.ints[row]));
    }
  });
}

Result<void> Aggregator::merge(const TableData& table) {
  const std::size_t keys = key_ ? 1 : 0;
  bool fits = table.columns.size() == keys + 2 * states_.size() && (!key_ || table.schema[0].type == key_->type());
  for (std::size_t i = 0; fits && i < states_.size(); ++i) {
    fits = table.schema[keys + 2 * i].type == states_[i].type && table.schema[keys + 2 * i + 1].type == Type::kInt64;
  }
  if (!fits) return fail(ErrorCode::kMalformed, "partial results of another aggregation");
  if (key_) {
    grouper_->find(*to_vec(table.columns[0]), groups_);
    grow(grouper_->groups());
  }
  for (std::size_t i = 0; i < states_.size(); ++i) {
    merge_state(aggregates_[i].kind, states_[i], *to_vec(table.columns[keys + 2 * i]), *to_vec(table.columns[keys + 2 * i + 1]));
  }
  return {};
}

TableData Aggregator::states() const {
  TableData table;
  if (key_) add_column(table, key_name_, grouper_->keys());
  table.index_columns = key_ ? 1 : 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    Vec values;
    values.type = state.type;
    values.ints = state.ints;
    values.doubles = state.doubles;
    if (state.type == Type::kBoolean) values.bools.assign(state.ints.begin(), state.ints.end());
    values.texts.assign(state.texts.begin(), state.texts.end());
    add_column(table, aggregates_[i].name, values);
    Vec counts;
    counts.ints = state.counts;
    add_column(table, aggregates_[i].name + " (count)", counts);
  }
  return table;
}

TableData Aggregator::finish() const {
  TableData table;
  std::vector<std::uint32_t> order = {0};
  Vec keys;
  if (key_) {
    keys = grouper_->keys();
    order = sorted_order(keys);
    add_column(table, key_name_, *take(keys, order));
  }
  table.index_columns = key_ ? 1 : 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    const AggregateKind kind = aggregates_[i].kind;
    Vec values;
    values.type = kind == AggregateKind::kCount || kind == AggregateKind::kSize ? Type::kInt64 : state.type;
    for (const std::uint32_t group : order) {
      const std::int64_t n = state.counts[group];
      if (kind == AggregateKind::kCount || kind == AggregateKind::kSize) {
        values.ints.push_back(n);
      } else if (kind == AggregateKind::kMean) {
        values.doubles.push_back(n == 0 ? kNaN : state.doubles[group] / static_cast<double>(n));
      } else if (const bool none = n == 0 && is_extreme(kind); state.type == Type::kFloat64) {
        values.doubles.push_back(none ? kNaN : state.doubles[group]);
      } else if (state.type == Type::kUtf8) {
        values.texts.push_back(none ? kMissingText : std::string_view(state.texts[group]));
      } else if (state.type == Type::kBoolean) {
        values.bools.push_back(none ? kMissingBool : static_cast<std::uint8_t>(state.ints[group]));
      } else {
        values.ints.push_back(none ? kNaT : state.ints[group]);
      }
    }
    add_column(table, aggregates_[i].name, values);
  }
  return table;
}

}  // namespace dask::dataframe
