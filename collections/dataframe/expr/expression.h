// An expression over the columns of a source: df["a"] + 1 > df["b"], df["Date"].dt().dayofweek(). Plain data that travels inside tasks.
// Types are known when an expression is made, so that a mistake is told where it is written and not when it runs.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "collections/dataframe/base/types.h"
#include "core/base/result.h"

namespace dask::dataframe {

enum class Op : std::uint8_t {
  kColumn,
  kInt,
  kFloat,
  kBool,
  kText,
  kTimestamp,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kNegate,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kAnd,
  kOr,
  kNot,
  kIsMissing,
  kNotMissing,
  kYear,
  kMonth,
  kDay,
  kHour,
  kMinute,
  kSecond,
  kDayOfWeek,
  kDayOfYear,
};

struct Node {
  Op op = Op::kInt;
  Type type = Type::kInt64;
  std::int64_t integer = 0;           // kInt, kBool, kTimestamp; kColumn: its index in the source's schema
  double real = 0;                    // kFloat
  std::string text;                   // kText; kColumn: its name
  std::uint32_t left = 0, right = 0;  // operands: earlier nodes
  auto dask_fields() { return std::tie(op, type, integer, real, text, left, right); }
  auto dask_fields() const { return std::tie(op, type, integer, real, text, left, right); }
  friend bool operator==(const Node&, const Node&) = default;
};

// Nodes in the order of evaluation; the last one is the result.
struct Expr {
  std::vector<Node> nodes;

  Type type() const { return nodes.back().type; }
  bool is_column() const { return nodes.size() == 1 && nodes[0].op == Op::kColumn; }
  bool is_literal() const { return nodes.size() == 1 && nodes[0].op != Op::kColumn; }
  // Marks the columns that it reads.
  void mark_columns(std::vector<bool>& used) const;
  // As the user could have written it: (DepDelay > 15) & !Cancelled.
  std::string text() const;

  auto dask_fields() { return std::tie(nodes); }
  auto dask_fields() const { return std::tie(nodes); }
  friend bool operator==(const Expr&, const Expr&) = default;

  static Expr column(std::uint32_t index, const Field& field);
  static Expr literal(std::int64_t value);
  static Expr literal(double value);
  static Expr literal(bool value);
  static Expr literal(std::string value);
};

// kInvalidArgument names the operation and both types.
Result<Expr> make_binary(Op op, const Expr& left, const Expr& right);
Result<Expr> make_unary(Op op, const Expr& operand);

// An expression that came as bytes from a peer: operands lie before their users, types are those that the operations have.
Result<void> check(const Expr& expr, const std::vector<Field>& schema);

}  // namespace dask::dataframe
