#include "core/native/function.h"

#include <atomic>

#include "core/native/build_id.h"

namespace dask::native {
namespace {

// A list of objects with static storage duration, so that registering allocates nothing and needs no order of initialisation.
constinit std::atomic<const NativeFunction*> last{nullptr};

}  // namespace

NativeFunction::NativeFunction(Description description, Call run) : description_(std::move(description)), call_(run) {
  if (description_.only_in_this_build) description_.name += "@" + build_id_of(description_.address);
  next_ = last.load(std::memory_order_relaxed);
  while (!last.compare_exchange_weak(next_, this, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

const NativeFunction* last_registered() { return last.load(std::memory_order_acquire); }

CallResult NativeFunction::call(std::string_view args, std::span<const NativeValue> dependencies) const noexcept {
  try {
    return call_(args, dependencies);
  } catch (...) {
    return tl::unexpected(current_failure());
  }
}

namespace detail {

// GCC writes "ns::inc", "&ns::P::m", "{anonymous}::an"; clang "&inc" and "(anonymous namespace)::an".
std::string function_name(std::string_view written) {
  while (!written.empty() && (written.front() == '&' || written.front() == ' ')) written.remove_prefix(1);
  std::string name(written);
  for (const std::string_view unnamed : {"{anonymous}::", "(anonymous namespace)::"})
    for (std::size_t at; (at = name.find(unnamed)) != std::string::npos;) name.erase(at, unnamed.size());
  return name;
}

std::string short_function_name(std::string_view name) {
  if (name.find("{lambda") != std::string_view::npos || name.find("'lambda") != std::string_view::npos) return "lambda";
  name = name.substr(0, name.find('<'));
  const std::size_t colons = name.rfind("::");
  return std::string(colons == std::string_view::npos ? name : name.substr(colons + 2));
}

CallFailure wrong_argument(std::size_t index, const Reader& reader) {
  return {ErrorCode::kInvalidArgument, "", "argument " + std::to_string(index + 1) + ": " + reader.error(), nullptr};
}

CallFailure wrong_arguments(std::size_t expected, const Reader& reader) {
  return {ErrorCode::kMalformed, "",
          "the task's arguments are not a list of " + std::to_string(expected) + (reader.error().empty() ? "" : ": " + reader.error()),
          nullptr};
}

}  // namespace detail
}  // namespace dask::native
