// CHECK: a bug of ours, never bad input. Prints both sides and aborts; nothing a peer, file or user sends may reach one.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <functional>
#include <string>

namespace dask {

// Writes the message to stderr (after what `set_check_context` gives, for example a task's story) and aborts.
[[noreturn]] void check_failed(const char* file, int line, const std::string& what);

// Text that is printed before a failed CHECK aborts. Called at most once, on the failing thread.
void set_check_context(std::function<std::string()> context);

}  // namespace dask

#define DASK_CHECK(condition, ...)                                                                                            \
  do {                                                                                                                        \
    if (__builtin_expect(!(condition), 0))                                                                                    \
      ::dask::check_failed(__FILE__, __LINE__, std::string("CHECK failed: " #condition " ") + ::fmt::format("" __VA_ARGS__)); \
  } while (false)

#define DASK_CHECK_EQ(a, b)                                                                                                   \
  do {                                                                                                                        \
    const auto& check_a = (a);                                                                                                \
    const auto& check_b = (b);                                                                                                \
    if (__builtin_expect(!(check_a == check_b), 0))                                                                           \
      ::dask::check_failed(__FILE__, __LINE__, ::fmt::format("CHECK failed: " #a " == " #b " ({} vs {})", check_a, check_b)); \
  } while (false)
