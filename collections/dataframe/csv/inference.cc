// Each text rules types out; what is left at the end is the type.
#include "collections/dataframe/csv/inference.h"

#include "collections/dataframe/csv/parse.h"

namespace dask::dataframe::csv {

void TypeGuess::see(std::string_view text) {
  if (is_missing(text)) {
    any_missing_ = true;
    return;
  }
  any_value_ = true;
  std::int64_t whole = 0;
  double real = 0;
  std::uint8_t truth = 0;
  if (all_ints_ && parse_int(text, whole) == Parsed::kWrong) all_ints_ = false;
  // Every whole number is a float too.
  if (!all_ints_ && all_floats_ && parse_float(text, real) == Parsed::kWrong) all_floats_ = false;
  const bool is_word = text.front() > '9';  // 0 and 1 are numbers unless the user says otherwise
  if (all_bools_ && (!is_word || parse_bool(text, truth) != Parsed::kValue || text.size() < 4)) all_bools_ = false;
}

Type TypeGuess::type() const {
  if (!any_value_) return Type::kFloat64;
  if (all_ints_ && !any_missing_) return Type::kInt64;
  if (all_floats_) return Type::kFloat64;
  return all_bools_ && !any_missing_ ? Type::kBoolean : Type::kUtf8;
}

}  // namespace dask::dataframe::csv
