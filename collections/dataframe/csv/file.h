// A file read at given offsets. Not mapped: a mapped file that somebody shortens ends the process, this one ends in an error.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"

namespace dask::dataframe::csv {

class File {
 public:
  static Result<File> open(const std::string& path);
  File(File&& other) noexcept : path_(std::move(other.path_)), descriptor_(other.descriptor_), size_(other.size_) {
    other.descriptor_ = -1;
  }
  File& operator=(File&&) = delete;
  ~File();

  const std::string& path() const { return path_; }
  std::int64_t size() const { return size_; }  // when it was opened
  // Reads up to `size` bytes at `offset`; fewer only at the end of the file.
  Result<std::size_t> read(std::int64_t offset, char* out, std::size_t size) const;
  // The number (from 1) of the line that holds the byte at `offset`. Reads the file up to there: for error messages.
  std::int64_t line_of(std::int64_t offset) const;

 private:
  File(std::string path, int descriptor, std::int64_t size) : path_(std::move(path)), descriptor_(descriptor), size_(size) {}
  std::string path_;
  int descriptor_;
  std::int64_t size_;
};

}  // namespace dask::dataframe::csv
