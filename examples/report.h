// What the tutorial prints: one line per step with its seconds beside those of the tutorial's author, each answer checked.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace tutorial {

inline std::string shown(double answer) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f", answer);
  return text;
}
inline std::string shown(long answer) {
  std::string digits = std::to_string(answer);
  for (auto at = static_cast<long>(digits.size()) - 3; at > (answer < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}
inline std::string shown(int answer) { return shown(static_cast<long>(answer)); }
template <class K, class V>
std::string shown(const std::map<K, V>& answer) {
  std::string text;
  for (const auto& [name, value] : answer) {
    if (!text.empty()) text += "  ";
    if constexpr (requires { text + name; })
      text += name + " " + shown(value);
    else
      text += std::to_string(name) + " " + shown(value);
  }
  return text;
}

// Equal up to the order in which partial sums were added.
inline bool is_same(double a, double b) { return a == b || std::abs(a - b) <= 1e-9 * std::max(std::abs(a), std::abs(b)); }
template <class K, class V>
bool is_same(const std::map<K, V>& a, const std::map<K, V>& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, value] : a)
    if (!b.contains(name) || !is_same(value, b.at(name))) return false;
  return true;
}

class Report {
 public:
  Report() { std::printf("%-60s %8s  %7s  answer\n", "step", "here", "author"); }

  void heading(const std::string& text) const { std::printf("\n-- %s\n", text.c_str()); }
  void note(const std::string& text) const { std::printf("   %s\n", text.c_str()); }

  // Runs one cell. `expected`: what the answer must be, if that is known.
  template <class T>
  void step(const std::string& name, std::optional<double> authors_seconds, const std::function<T()>& run, std::optional<T> expected = {}) {
    const auto began = std::chrono::steady_clock::now();
    std::string answer;
    bool is_right = false;
    try {
      const T value = run();
      answer = shown(value);
      is_right = !expected || is_same(value, *expected);
      if (!is_right) answer += "   WRONG, expected " + shown(*expected);
    } catch (const std::exception& error) {
      answer = std::string("FAILED: ") + error.what();
    }
    print(name, authors_seconds, seconds_since(began), answer);
    is_good_ &= is_right;
  }
  // A cell without an answer.
  void step(const std::string& name, const std::function<void()>& run) {
    const auto began = std::chrono::steady_clock::now();
    run();
    print(name, {}, seconds_since(began), "");
  }

  // The exit code.
  int finish() const {
    std::printf("\n%.0f s in all: %s\n", seconds_since(began_), is_good_ ? "all answers are right" : "NOT as it should be: see above");
    return is_good_ ? 0 : 1;
  }

 private:
  static double seconds_since(std::chrono::steady_clock::time_point began) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  }
  static void print(const std::string& name, std::optional<double> authors_seconds, double seconds, const std::string& answer) {
    const std::string author = authors_seconds ? shown(*authors_seconds) + " s" : "";
    std::printf("%-60s %6.2f s  %7s  %s\n", name.c_str(), seconds, author.c_str(), answer.c_str());
    std::fflush(stdout);
  }

  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  bool is_good_ = true;
};

}  // namespace tutorial
