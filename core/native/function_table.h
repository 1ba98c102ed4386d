// FunctionTable: all registered functions by name, with collisions found. Programs make one when they start and again after they
// loaded a library; it is a value that never changes.
// Collisions: two different functions of one program or library under one name (static functions of two files, lambdas of the same
// place in two files). Across libraries the first one wins and warnings() names both, because a function from a common header
// is legally compiled into each.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/native/function.h"

namespace dask::native {

class FunctionTable {
 public:
  // Everything that is registered now. kInvalidArgument names each collision with both places and says what to do.
  static Result<FunctionTable> of_registered();

  // Null when there is no such function.
  const NativeFunction* find(std::string_view name) const;
  // kNotFound says whether another build, another signature or the library is the matter.
  Result<const NativeFunction*> require(std::string_view name) const;

  std::size_t size() const { return by_name_.size(); }
  std::vector<const NativeFunction*> all() const;  // sorted by name
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::unordered_map<std::string_view, const NativeFunction*> by_name_;
  std::vector<std::string> warnings_;
};

}  // namespace dask::native
