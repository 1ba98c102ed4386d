// Evaluates expressions on a batch, operation by operation over whole columns. Missing values follow pandas: arithmetic keeps them,
// comparisons of numbers and dates with them are false (!= is true), of texts missing; & and | are Kleene's.
#pragma once

#include <vector>

#include "collections/dataframe/base/types.h"
#include "collections/dataframe/expr/expression.h"

namespace dask::dataframe {

// The expression must have passed check() against the batch's schema, and its columns must be filled.
VecPtr evaluate(const Expr& expr, const Batch& batch);

// Rows for which all predicates are true (missing is not), ascending.
std::vector<std::uint32_t> select(const std::vector<Expr>& predicates, const Batch& batch);

// The selected rows of a column.
VecPtr take(const Vec& column, const std::vector<std::uint32_t>& selection);

}  // namespace dask::dataframe
