// The words of a story: lines, tokens, braces, keys and quantities. Knows nothing about what they mean.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/key.h"
#include "core/base/result.h"

namespace dask::stories {

// One line without its comment. `text` keeps the spelling, `tokens` are its words.
struct Line {
  int number = 0;
  std::string text;
  std::vector<std::string> tokens;
};

std::vector<Line> read_lines(std::string_view script);
std::vector<std::string> split(std::string_view text, char separator);
std::vector<std::string> words(std::string_view text);
std::string trim(std::string_view text);

// "x-{0..2}" gives x-0 x-1 x-2, "{a,b}" gives a b; several braces in one text advance together. A text without braces gives itself.
Result<std::vector<std::string>> expand(std::string_view text);

// Words and name=value pairs of a line; every pair must be asked for before `unknown()` is called.
class Attributes {
 public:
  explicit Attributes(const std::vector<std::string>& tokens);
  const std::vector<std::string>& words() const { return words_; }
  std::optional<std::string> get(const std::string& name);
  std::string get(const std::string& name, const std::string& otherwise) { return get(name).value_or(otherwise); }
  // Takes a word out; false when it is not there.
  bool take(std::string_view word);
  // The first pair that nobody asked for.
  std::optional<std::string> unknown() const;

 private:
  std::vector<std::string> words_;
  std::map<std::string, std::string> pairs_;
};

// x is the string "x", 1 an int, 1.0 a float, (x,0) the tuple ("x", 0).
Result<Key> parse_key(std::string_view text);
// 100, 1kB, 2MB, 1GB, 1.5GiB: bytes.
Result<std::int64_t> parse_bytes(std::string_view text);
Result<double> parse_number(std::string_view text);  // also inf

}  // namespace dask::stories
