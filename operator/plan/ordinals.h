// A set of ordinals as text, "0-4,7": short even after thousands of workers have come and gone, as those gone lie next to each other.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace dask::kube {

class Ordinals {
 public:
  // What is no such text is left out: a user may have edited it.
  static Ordinals parse(std::string_view text);
  bool contains(std::int64_t ordinal) const;
  void insert(std::int64_t ordinal);
  std::string str() const;

 private:
  void insert_range(std::int64_t first, std::int64_t last);
  std::map<std::int64_t, std::int64_t> ranges_;  // first -> last; they neither touch nor overlap
};

}  // namespace dask::kube
