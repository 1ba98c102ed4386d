// Guesses a column's type from texts, as pandas does for a sample: numbers without gaps are int64, with gaps or fractions float64,
// True and False are bool, a column of nothing is float64, the rest is text. Pure.
#pragma once

#include <string_view>

#include "collections/dataframe/base/types.h"

namespace dask::dataframe::csv {

class TypeGuess {
 public:
  // A field in a reader's buffer (parse.h says why it must be).
  void see(std::string_view text);
  Type type() const;

 private:
  bool any_missing_ = false, any_value_ = false;
  bool all_ints_ = true, all_floats_ = true, all_bools_ = true;
};

}  // namespace dask::dataframe::csv
