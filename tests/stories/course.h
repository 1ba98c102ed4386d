// The course of a story, whatever core it is about: line after line, events happen and expectations are compared with what was seen.
// What no line speaks about is not checked; what one line speaks about is checked everywhere.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/base/result.h"
#include "script.h"

namespace dask::stories {

inline tl::unexpected<Error> wrong(std::string text) { return fail(ErrorCode::kInvalidArgument, std::move(text)); }

inline std::string sorted_text(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  return texts.empty() ? "nothing" : fmt::format("{}", fmt::join(texts, " "));
}

// SeenT: one thing that a core did, with `kind`, `consumed` and str().
template <class SeenT>
class Course {
 public:
  using Outcome = Result<std::monostate>;

  virtual ~Course() = default;

  // Empty when the story came true, else "<line>: what went wrong".
  std::string run(const std::string& script) {
    const std::vector<Line> lines = read_lines(script);
    for (const Line& line : lines) {
      if (line.tokens[0] != "expect" || line.tokens.size() < 2) continue;
      const std::string& kind = line.tokens[1] == "no" && line.tokens.size() > 2 ? line.tokens[2] : line.tokens[1];
      if (kinds().contains(kind)) spoken_about_.insert(kind);
    }
    for (const Line& line : lines)
      if (auto outcome = step(line); !outcome) return fmt::format("{}: {}\n  {}", line.number, line.text, outcome.error().message);
    const int last = lines.empty() ? 1 : lines.back().number;
    if (auto outcome = nothing_left_over(); !outcome) return fmt::format("{}: {}", last, outcome.error().message);
    if (!expected_anything_) return fmt::format("{}: the story expects nothing: it cannot fail", last);
    return {};
  }

 protected:
  // The kinds of things that can be seen.
  virtual const std::set<std::string>& kinds() const = 0;
  // Said in passing: `expect nothing` does not mean it.
  virtual bool is_aside(const SeenT&) const { return false; }
  virtual Outcome event(const Line& line) = 0;
  virtual Outcome expect_seen(const std::string& kind, const Line& line) = 0;
  virtual Outcome expect_fact(const std::string& what, const Line& line) = 0;

  bool speaks_about(const std::string& kind) const { return spoken_about_.contains(kind); }

  std::string what_is_left() const {
    std::string text;
    for (const SeenT& s : seen_)
      if (!s.consumed) text += "\n    " + s.str();
    return text.empty() ? " nothing" : text;
  }

  std::vector<SeenT> seen_;  // of the last event line

 private:
  Outcome step(const Line& line) {
    if (line.tokens[0] == "expect") return expect(line);
    if (auto outcome = nothing_left_over(); !outcome) return wrong("before this line: " + outcome.error().message);
    return event(line);
  }

  Outcome nothing_left_over() const {
    for (const SeenT& s : seen_)
      if (!s.consumed && speaks_about(s.kind)) return wrong("nobody expected: " + s.str());
    return {};
  }

  Outcome expect(const Line& line) {
    if (line.tokens.size() < 2) return wrong("expect what?");
    expected_anything_ = true;
    const std::string& what = line.tokens[1];
    if (what == "nothing") {
      for (const SeenT& s : seen_)
        if (!s.consumed && !is_aside(s)) return wrong("there was:" + what_is_left());
      return {};
    }
    if (what == "no") {
      if (line.tokens.size() != 3 || !kinds().contains(line.tokens[2])) return wrong("expect no KIND");
      for (const SeenT& s : seen_)
        if (!s.consumed && s.kind == line.tokens[2]) return wrong("there was: " + s.str());
      return {};
    }
    return kinds().contains(what) ? expect_seen(what, line) : expect_fact(what, line);
  }

  std::set<std::string> spoken_about_;
  bool expected_anything_ = false;
};

}  // namespace dask::stories
