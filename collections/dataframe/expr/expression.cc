// Types of operations, literals, and expressions as text.
#include "collections/dataframe/expr/expression.h"

#include <fmt/format.h>

#include <algorithm>

#include "collections/dataframe/base/calendar.h"
#include "collections/dataframe/csv/parse.h"

namespace dask::dataframe {
namespace {

bool is_leaf(Op op) { return op <= Op::kTimestamp; }
bool is_arithmetic(Op op) { return op >= Op::kAdd && op <= Op::kDivide; }
bool is_comparison(Op op) { return op >= Op::kEqual && op <= Op::kGreaterEqual; }
bool is_logical(Op op) { return op == Op::kAnd || op == Op::kOr; }
bool is_binary(Op op) { return is_arithmetic(op) || is_comparison(op) || is_logical(op); }
bool is_date_part(Op op) { return op >= Op::kYear; }
bool is_number(Type type) { return type == Type::kInt64 || type == Type::kFloat64; }

std::string_view symbol(Op op) {
  switch (op) {
    case Op::kAdd: return "+";
    case Op::kSubtract:
    case Op::kNegate: return "-";
    case Op::kMultiply: return "*";
    case Op::kDivide: return "/";
    case Op::kEqual: return "==";
    case Op::kNotEqual: return "!=";
    case Op::kLess: return "<";
    case Op::kLessEqual: return "<=";
    case Op::kGreater: return ">";
    case Op::kGreaterEqual: return ">=";
    case Op::kAnd: return "&";
    case Op::kOr: return "|";
    case Op::kNot: return "!";
    case Op::kIsMissing: return "isna";
    case Op::kNotMissing: return "notna";
    case Op::kYear: return "year";
    case Op::kMonth: return "month";
    case Op::kDay: return "day";
    case Op::kHour: return "hour";
    case Op::kMinute: return "minute";
    case Op::kSecond: return "second";
    case Op::kDayOfWeek: return "dayofweek";
    case Op::kDayOfYear: return "dayofyear";
    default: return "?";
  }
}

// The result's type of a binary operation; kInvalidArgument where there is none.
Result<Type> binary_type(Op op, Type a, Type b) {
  const auto number_like = [](Type type) { return is_number(type) || type == Type::kBoolean; };
  if (is_arithmetic(op) && number_like(a) && number_like(b) && (is_number(a) || is_number(b) || op == Op::kDivide)) {
    return op == Op::kDivide || a == Type::kFloat64 || b == Type::kFloat64 ? Type::kFloat64 : Type::kInt64;
  }
  if (is_comparison(op) && (a == b || (number_like(a) && number_like(b)))) return Type::kBoolean;
  if (is_logical(op) && a == Type::kBoolean && b == Type::kBoolean) return Type::kBoolean;
  std::string message = fmt::format("{} {} {} is not defined", dask_name(a), symbol(op), dask_name(b));
  if (is_logical(op) && (a == Type::kInt64 || b == Type::kInt64))
    message += "; compare first (column != 0), or read the column with dtype boolean";
  return fail(ErrorCode::kInvalidArgument, message);
}

Result<Type> unary_type(Op op, Type a) {
  if (op == Op::kNot && a == Type::kBoolean) return Type::kBoolean;
  if (op == Op::kNegate && is_number(a)) return a;
  if (op == Op::kIsMissing || op == Op::kNotMissing) return Type::kBoolean;
  if (is_date_part(op) && a == Type::kTimestamp) return Type::kInt64;
  if (is_date_part(op))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("dt().{}() needs a datetime64[ns] column, not {}; read it with parse_dates", symbol(op), dask_name(a)));
  std::string message = fmt::format("{}{} is not defined", symbol(op), dask_name(a));
  if (op == Op::kNot && a == Type::kInt64) message += "; read the column with dtype boolean, or write column == 0";
  return fail(ErrorCode::kInvalidArgument, message);
}

Expr combine(Op op, Type type, const Expr& left, const Expr& right) {
  Expr expr = left;
  const auto shift = static_cast<std::uint32_t>(left.nodes.size());
  for (Node node : right.nodes) {
    node.left += shift;
    node.right += shift;
    expr.nodes.push_back(std::move(node));
  }
  Node node;
  node.op = op;
  node.type = type;
  node.left = shift - 1;
  node.right = static_cast<std::uint32_t>(expr.nodes.size() - 1);
  expr.nodes.push_back(std::move(node));
  return expr;
}

Expr leaf(Op op, Type type, std::int64_t integer, double real, std::string text) {
  Node node;
  node.op = op;
  node.type = type;
  node.integer = integer;
  node.real = real;
  node.text = std::move(text);
  return Expr{{std::move(node)}};
}

// A text beside a date is a date: Date >= "1995-01-01".
Result<Expr> as_timestamp(const Expr& expr, Op op) {
  if (!expr.is_literal() || expr.type() != Type::kUtf8) return expr;
  std::int64_t value = 0;
  if (csv::parse_timestamp(expr.nodes[0].text, value) != csv::Parsed::kValue) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("datetime64[ns] {} '{}': that is no date; write it as 1995-12-31 or 1995-12-31 23:59:59", symbol(op),
                            expr.nodes[0].text));
  }
  return leaf(Op::kTimestamp, Type::kTimestamp, value, 0, "");
}

std::string node_text(const Expr& expr, std::uint32_t at, bool inside) {
  const Node& node = expr.nodes[at];
  switch (node.op) {
    case Op::kColumn: return node.text;
    case Op::kInt: return fmt::format("{}", node.integer);
    case Op::kFloat: return fmt::format("{}", node.real);
    case Op::kBool: return node.integer != 0 ? "true" : "false";
    case Op::kText: return fmt::format("\"{}\"", node.text);
    case Op::kTimestamp: return fmt::format("\"{}\"", timestamp_text(node.integer, node.integer % kNanosecondsPerDay == 0));
    case Op::kNegate:
    case Op::kNot: return std::string(symbol(node.op)) + node_text(expr, node.left, true);
    case Op::kIsMissing:
    case Op::kNotMissing: return fmt::format("{}.{}()", node_text(expr, node.left, true), symbol(node.op));
    default: break;
  }
  if (is_date_part(node.op)) return fmt::format("{}.dt.{}", node_text(expr, node.left, true), symbol(node.op));
  const std::string text = fmt::format("{} {} {}", node_text(expr, node.left, true), symbol(node.op), node_text(expr, node.right, true));
  return inside ? "(" + text + ")" : text;
}

}  // namespace

void Expr::mark_columns(std::vector<bool>& used) const {
  for (const Node& node : nodes)
    if (node.op == Op::kColumn) used[static_cast<std::size_t>(node.integer)] = true;
}

std::string Expr::text() const { return node_text(*this, static_cast<std::uint32_t>(nodes.size() - 1), false); }

Expr Expr::column(std::uint32_t index, const Field& field) { return leaf(Op::kColumn, field.type, index, 0, field.name); }
Expr Expr::literal(std::int64_t value) { return leaf(Op::kInt, Type::kInt64, value, 0, ""); }
Expr Expr::literal(double value) { return leaf(Op::kFloat, Type::kFloat64, 0, value, ""); }
Expr Expr::literal(bool value) { return leaf(Op::kBool, Type::kBoolean, value, 0, ""); }
Expr Expr::literal(std::string value) { return leaf(Op::kText, Type::kUtf8, 0, 0, std::move(value)); }

Result<Expr> make_binary(Op op, const Expr& left, const Expr& right) {
  if (is_comparison(op) && left.type() == Type::kTimestamp && right.type() == Type::kUtf8) {
    DASK_TRY(const Expr date, as_timestamp(right, op));
    DASK_TRY(const Type type, binary_type(op, left.type(), date.type()));
    return combine(op, type, left, date);
  }
  if (is_comparison(op) && left.type() == Type::kUtf8 && right.type() == Type::kTimestamp) {
    DASK_TRY(const Expr date, as_timestamp(left, op));
    DASK_TRY(const Type type, binary_type(op, date.type(), right.type()));
    return combine(op, type, date, right);
  }
  DASK_TRY(const Type type, binary_type(op, left.type(), right.type()));
  return combine(op, type, left, right);
}

Result<Expr> make_unary(Op op, const Expr& operand) {
  DASK_TRY(const Type type, unary_type(op, operand.type()));
  Expr expr = operand;
  Node node;
  node.op = op;
  node.type = type;
  node.left = node.right = static_cast<std::uint32_t>(operand.nodes.size() - 1);
  expr.nodes.push_back(std::move(node));
  return expr;
}

Result<void> check(const Expr& expr, const std::vector<Field>& schema) {
  if (expr.nodes.empty()) return fail(ErrorCode::kMalformed, "an expression without nodes");
  for (std::size_t i = 0; i < expr.nodes.size(); ++i) {
    const Node& node = expr.nodes[i];
    if (node.op > Op::kDayOfYear || node.type > Type::kTimestamp)
      return fail(ErrorCode::kMalformed, "an expression with an unknown operation or type");
    if (node.op == Op::kColumn) {
      const bool known = node.integer >= 0 && static_cast<std::size_t>(node.integer) < schema.size() &&
                         schema[static_cast<std::size_t>(node.integer)].type == node.type;
      if (!known)
        return fail(ErrorCode::kMalformed, fmt::format("an expression that uses column {} which its source does not have", node.text));
    } else if (is_leaf(node.op)) {
      constexpr Type kTypes[] = {Type::kInt64, Type::kInt64, Type::kFloat64, Type::kBoolean, Type::kUtf8, Type::kTimestamp};
      if (node.type != kTypes[static_cast<std::size_t>(node.op)])
        return fail(ErrorCode::kMalformed, "an expression with a literal of a wrong type");
    } else {
      if (node.left >= i || node.right >= i) return fail(ErrorCode::kMalformed, "an expression that is no tree");
      DASK_TRY(const Type type, is_binary(node.op) ? binary_type(node.op, expr.nodes[node.left].type, expr.nodes[node.right].type)
                                                   : unary_type(node.op, expr.nodes[node.left].type));
      if (type != node.type) return fail(ErrorCode::kMalformed, "an expression with a wrong type");
    }
  }
  return {};
}

}  // namespace dask::dataframe
