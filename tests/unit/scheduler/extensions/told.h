// What an extension's effects say, as text that a test can compare: "1: True", "2: KeyError x", "want queue-q ('x', 0)".
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

inline Key key(std::string_view name) { return Key::from_string(name); }

// Takes the effects out. Wishes come before answers; warnings are left in place.
inline std::vector<std::string> told(Effects& effects) {
  std::vector<std::string> lines;
  for (const Wish& wish : std::exchange(effects.wishes, {})) {
    std::string line = wish.kind == Wish::Kind::kDesire ? "want " : wish.kind == Wish::Kind::kRelease ? "release " : "forget ";
    line += wish.client;
    for (const Key& k : wish.keys) line.append(" ").append(k.str());
    lines.push_back(line);
  }
  for (const Answer& answer : std::exchange(effects.answers, {})) {
    std::string line = std::to_string(answer.request) + ": ";
    line += answer.error_class.empty() ? answer.value.repr() : answer.error_class.substr(answer.error_class.rfind('.') + 1);
    lines.push_back(line + (answer.has_futures ? " +state" : ""));
  }
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace dask::scheduler
