// One loop per operation and type, over whole columns.
#include "collections/dataframe/expr/evaluate.h"

#include <algorithm>
#include <functional>

#include "collections/dataframe/base/calendar.h"

namespace dask::dataframe {
namespace {

constexpr std::int64_t kMissingInt = kNaT;

// A constant of `rows` rows; texts point into the expression, which outlives the evaluation of one task.
VecPtr constant(const Node& node, std::size_t rows) {
  auto out = std::make_shared<Vec>();
  out->type = node.type;
  switch (node.type) {
    case Type::kInt64:
    case Type::kTimestamp: out->ints.assign(rows, node.integer); break;
    case Type::kFloat64: out->doubles.assign(rows, node.real); break;
    case Type::kBoolean: out->bools.assign(rows, node.integer != 0); break;
    case Type::kUtf8: out->texts.assign(rows, std::string_view(node.text)); break;
  }
  return out;
}

// A numeric column as doubles, converted into `space` if it is not one already.
const std::vector<double>& as_doubles(const Vec& in, std::vector<double>& space) {
  if (in.type == Type::kFloat64) return in.doubles;
  if (in.type == Type::kBoolean) {
    space.resize(in.bools.size());
    std::transform(in.bools.begin(), in.bools.end(), space.begin(), [](std::uint8_t v) { return v == kMissingBool ? kNaN : v; });
  } else {
    space.resize(in.ints.size());
    std::transform(in.ints.begin(), in.ints.end(), space.begin(),
                   [](std::int64_t v) { return v == kMissingInt ? kNaN : static_cast<double>(v); });
  }
  return space;
}

const std::vector<std::int64_t>& as_ints(const Vec& in, std::vector<std::int64_t>& space) {
  if (in.type != Type::kBoolean) return in.ints;
  space.resize(in.bools.size());
  std::transform(in.bools.begin(), in.bools.end(), space.begin(), [](std::uint8_t v) { return v == kMissingBool ? kMissingInt : v; });
  return space;
}

template <class A, class Out, class F>
void map2(const std::vector<A>& a, const std::vector<A>& b, std::vector<Out>& out, F f) {
  out.resize(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = f(a[i], b[i]);
}

void arithmetic(Op op, const Vec& a, const Vec& b, Vec& out) {
  if (out.type == Type::kInt64) {
    std::vector<std::int64_t> space_a, space_b;
    const auto& x = as_ints(a, space_a);
    const auto& y = as_ints(b, space_b);
    // Overflow wraps, as in NumPy.
    const auto with = [&](auto f) {
      map2(x, y, out.ints, [f](std::int64_t l, std::int64_t r) {
        if (l == kMissingInt || r == kMissingInt) return kMissingInt;
        return static_cast<std::int64_t>(f(static_cast<std::uint64_t>(l), static_cast<std::uint64_t>(r)));
      });
    };
    if (op == Op::kAdd) return with(std::plus<>());
    if (op == Op::kSubtract) return with(std::minus<>());
    return with(std::multiplies<>());
  }
  std::vector<double> space_a, space_b;
  const auto& x = as_doubles(a, space_a);
  const auto& y = as_doubles(b, space_b);
  if (op == Op::kAdd) return map2(x, y, out.doubles, std::plus<>());
  if (op == Op::kSubtract) return map2(x, y, out.doubles, std::minus<>());
  if (op == Op::kMultiply) return map2(x, y, out.doubles, std::multiplies<>());
  map2(x, y, out.doubles, std::divides<>());
}

// `missing(l, r)` decides before the comparison; it gives 0, 1 or kMissingBool, or 3 when both are there.
template <class T, class Missing>
void compare(Op op, const std::vector<T>& a, const std::vector<T>& b, std::vector<std::uint8_t>& out, Missing missing) {
  const auto with = [&](auto f) {
    map2(a, b, out, [f, missing](const T& l, const T& r) {
      const std::uint8_t early = missing(l, r);
      return early == 3 ? static_cast<std::uint8_t>(f(l, r)) : early;
    });
  };
  switch (op) {
    case Op::kEqual: return with(std::equal_to<>());
    case Op::kNotEqual: return with(std::not_equal_to<>());
    case Op::kLess: return with(std::less<>());
    case Op::kLessEqual: return with(std::less_equal<>());
    case Op::kGreater: return with(std::greater<>());
    default: return with(std::greater_equal<>());
  }
}

void comparison(Op op, const Vec& a, const Vec& b, Vec& out) {
  if (a.type == Type::kUtf8) {
    return compare(op, a.texts, b.texts, out.bools, [](std::string_view l, std::string_view r) -> std::uint8_t {
      return l.data() == nullptr || r.data() == nullptr ? kMissingBool : 3;
    });
  }
  if (a.type == Type::kBoolean && b.type == Type::kBoolean) {
    return compare(op, a.bools, b.bools, out.bools, [](std::uint8_t l, std::uint8_t r) -> std::uint8_t {
      return l == kMissingBool || r == kMissingBool ? kMissingBool : 3;
    });
  }
  const std::uint8_t when_missing = op == Op::kNotEqual ? 1 : 0;
  if (a.type == Type::kFloat64 || b.type == Type::kFloat64) {
    std::vector<double> space_a, space_b;
    return compare(op, as_doubles(a, space_a), as_doubles(b, space_b), out.bools, [](double, double) -> std::uint8_t { return 3; });
  }
  std::vector<std::int64_t> space_a, space_b;
  compare(op, as_ints(a, space_a), as_ints(b, space_b), out.bools,
          [when_missing](std::int64_t l, std::int64_t r) -> std::uint8_t { return l == kNaT || r == kNaT ? when_missing : 3; });
}

void logical(Op op, const Vec& a, const Vec& b, Vec& out) {
  const std::uint8_t decisive = op == Op::kAnd ? 0 : 1;
  map2(a.bools, b.bools, out.bools, [decisive](std::uint8_t l, std::uint8_t r) -> std::uint8_t {
    if (l == decisive || r == decisive) return decisive;
    return l == kMissingBool || r == kMissingBool ? kMissingBool : static_cast<std::uint8_t>(1 - decisive);
  });
}

void missing(const Vec& in, bool wanted, std::vector<std::uint8_t>& out) {
  const auto with = [&](const auto& values, auto is_missing) {
    out.resize(values.size());
    std::transform(values.begin(), values.end(), out.begin(), [&](const auto& v) -> std::uint8_t { return is_missing(v) == wanted; });
  };
  switch (in.type) {
    case Type::kInt64:
    case Type::kTimestamp: return with(in.ints, [](std::int64_t v) { return v == kNaT; });
    case Type::kFloat64: return with(in.doubles, [](double v) { return v != v; });
    case Type::kBoolean: return with(in.bools, [](std::uint8_t v) { return v == kMissingBool; });
    case Type::kUtf8: return with(in.texts, [](std::string_view v) { return v.data() == nullptr; });
  }
}

void date_part(Op op, const Vec& in, Vec& out) {
  const auto with = [&](auto part) {
    out.ints.resize(in.ints.size());
    std::transform(in.ints.begin(), in.ints.end(), out.ints.begin(), [part](std::int64_t v) { return v == kNaT ? kMissingInt : part(v); });
  };
  const auto days = [](std::int64_t v) { return floor_divide(v, kNanosecondsPerDay); };
  const auto seconds = [](std::int64_t v) { return floor_divide(v, kNanosecondsPerSecond) - floor_divide(v, kNanosecondsPerDay) * 86'400; };
  switch (op) {
    case Op::kYear: return with([days](std::int64_t v) { return civil_from_days(days(v)).year; });
    case Op::kMonth: return with([days](std::int64_t v) { return static_cast<std::int64_t>(civil_from_days(days(v)).month); });
    case Op::kDay: return with([days](std::int64_t v) { return static_cast<std::int64_t>(civil_from_days(days(v)).day); });
    case Op::kHour: return with([seconds](std::int64_t v) { return seconds(v) / 3600; });
    case Op::kMinute: return with([seconds](std::int64_t v) { return seconds(v) / 60 % 60; });
    case Op::kSecond: return with([seconds](std::int64_t v) { return seconds(v) % 60; });
    case Op::kDayOfWeek:
      return with(
          [days](std::int64_t v) { return days(v) + 3 - floor_divide(days(v) + 3, 7) * 7; });  // Monday is 0; 1970 began on a Thursday
    default:
      return with([days](std::int64_t v) {
        std::int64_t first = 0;
        days_from_civil(static_cast<int>(civil_from_days(days(v)).year), 1, 1, first);
        return days(v) - first + 1;
      });
  }
}

VecPtr apply_node(const Node& node, const std::vector<VecPtr>& values) {
  const Vec& a = *values[node.left];
  const Vec& b = *values[node.right];
  auto out = std::make_shared<Vec>();
  out->type = node.type;
  switch (node.op) {
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
    case Op::kDivide: arithmetic(node.op, a, b, *out); break;
    case Op::kEqual:
    case Op::kNotEqual:
    case Op::kLess:
    case Op::kLessEqual:
    case Op::kGreater:
    case Op::kGreaterEqual: comparison(node.op, a, b, *out); break;
    case Op::kAnd:
    case Op::kOr: logical(node.op, a, b, *out); break;
    case Op::kIsMissing: missing(a, true, out->bools); break;
    case Op::kNotMissing: missing(a, false, out->bools); break;
    case Op::kNot:
      out->bools.resize(a.bools.size());
      std::transform(a.bools.begin(), a.bools.end(), out->bools.begin(),
                     [](std::uint8_t v) -> std::uint8_t { return v == kMissingBool ? v : v ^ 1; });
      break;
    case Op::kNegate:
      if (node.type == Type::kFloat64) {
        out->doubles.resize(a.doubles.size());
        std::transform(a.doubles.begin(), a.doubles.end(), out->doubles.begin(), std::negate<>());
      } else {
        out->ints.resize(a.ints.size());  // the missing value is its own negative
        std::transform(a.ints.begin(), a.ints.end(), out->ints.begin(),
                       [](std::int64_t v) { return static_cast<std::int64_t>(-static_cast<std::uint64_t>(v)); });
      }
      break;
    default: date_part(node.op, a, *out);
  }
  return out;
}

}  // namespace

VecPtr evaluate(const Expr& expr, const Batch& batch) {
  if (expr.is_column()) return batch.columns[static_cast<std::size_t>(expr.nodes[0].integer)];
  std::vector<VecPtr> values(expr.nodes.size());
  for (std::size_t i = 0; i < expr.nodes.size(); ++i) {
    const Node& node = expr.nodes[i];
    if (node.op == Op::kColumn) {
      values[i] = batch.columns[static_cast<std::size_t>(node.integer)];
    } else {
      values[i] = node.op <= Op::kTimestamp ? constant(node, batch.rows) : apply_node(node, values);
    }
  }
  return values.back();
}

std::vector<std::uint32_t> select(const std::vector<Expr>& predicates, const Batch& batch) {
  std::vector<std::uint32_t> selection;
  std::vector<VecPtr> truths;
  for (const Expr& predicate : predicates) truths.push_back(evaluate(predicate, batch));
  selection.resize(batch.rows);
  std::size_t n = 0;
  if (truths.size() == 1) {
    const auto& bools = truths[0]->bools;
    for (std::uint32_t row = 0; row < batch.rows; ++row) {
      selection[n] = row;
      n += bools[row] == 1;
    }
  } else {
    for (std::uint32_t row = 0; row < batch.rows; ++row) {
      selection[n] = row;
      n += std::all_of(truths.begin(), truths.end(), [row](const VecPtr& truth) { return truth->bools[row] == 1; });
    }
  }
  selection.resize(n);
  return selection;
}

VecPtr take(const Vec& column, const std::vector<std::uint32_t>& selection) {
  auto out = std::make_shared<Vec>();
  out->type = column.type;
  out->keep_alive = column.keep_alive;
  const auto with = [&](const auto& from, auto& to) {
    to.resize(selection.size());
    std::transform(selection.begin(), selection.end(), to.begin(), [&](std::uint32_t row) { return from[row]; });
  };
  switch (column.type) {
    case Type::kInt64:
    case Type::kTimestamp: with(column.ints, out->ints); break;
    case Type::kFloat64: with(column.doubles, out->doubles); break;
    case Type::kBoolean: with(column.bools, out->bools); break;
    case Type::kUtf8: with(column.texts, out->texts); break;
  }
  return out;
}

}  // namespace dask::dataframe
