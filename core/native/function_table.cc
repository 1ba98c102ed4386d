#include "core/native/function_table.h"

#include <algorithm>

#include "core/native/build_id.h"
#include "core/native/value_function.h"

namespace dask::native {
namespace {

std::string_view without_build(std::string_view name) { return name.substr(0, name.rfind('@')); }
// "ns::inc" of "ns::inc(int)->int"; a lambda's own parentheses stay.
std::string_view without_signature(std::string_view name) {
  const std::size_t arrow = name.rfind(")->");
  if (arrow == std::string_view::npos) return name;
  int depth = 0;
  for (std::size_t i = arrow + 1; i-- > 0;) {
    depth += name[i] == ')' ? 1 : name[i] == '(' ? -1 : 0;
    if (depth == 0) return name.substr(0, i);
  }
  return name;
}

}  // namespace

Result<FunctionTable> FunctionTable::of_registered() {
  value_function();  // registers itself
  // The list runs from the last to the first; the first one of a name wins.
  std::vector<const NativeFunction*> functions;
  for (const NativeFunction* f = last_registered(); f; f = f->next_registered()) functions.push_back(f);
  std::reverse(functions.begin(), functions.end());
  FunctionTable table;
  std::string collisions;
  for (const NativeFunction* function : functions) {
    auto [it, is_new] = table.by_name_.emplace(function->name(), function);
    const NativeFunction* first = it->second;
    if (is_new || first->address() == function->address()) continue;
    if (module_of(first->address()) == module_of(function->address())) {
      collisions += "\n  " + function->name() + ": in " + first->place() + " and in " + function->place();
    } else if (first->place() != function->place()) {
      table.warnings_.push_back("Two libraries have a task function " + function->name() + ", from " + first->place() + " and from " +
                                function->place() + "; the first one is used.");
    }
  }
  if (!collisions.empty())
    return fail(
        ErrorCode::kInvalidArgument,
        "Different task functions have the same name, so that a worker could not tell which one to run. Rename one of each, or put it "
        "into a namespace of its own:" +
            collisions);
  return table;
}

const NativeFunction* FunctionTable::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

Result<const NativeFunction*> FunctionTable::require(std::string_view name) const {
  if (const NativeFunction* function = find(name)) return function;
  for (const NativeFunction* other : all()) {
    if (name.find('@') != std::string_view::npos && without_build(other->name()) == without_build(name))
      return fail(ErrorCode::kNotFound, "This worker has the lambda " + std::string(name) +
                                            " from another build. Lambdas have no names that outlive a build: start the workers with the "
                                            "same program or library, or use a named function.");
    if (without_signature(other->name()) == without_signature(name))
      return fail(ErrorCode::kNotFound, "This worker has no function " + std::string(name) + ", but " + other->name() +
                                            ": start the workers with the same version of the program or library.");
  }
  return fail(ErrorCode::kNotFound,
              "This worker has no function " + std::string(name) +
                  ": start it with the library that has it (--preload library.so), or start the workers from the same program.");
}

std::vector<const NativeFunction*> FunctionTable::all() const {
  std::vector<const NativeFunction*> functions;
  for (const auto& [name, function] : by_name_) functions.push_back(function);
  std::sort(functions.begin(), functions.end(), [](const auto* a, const auto* b) { return a->name() < b->name(); });
  return functions;
}

}  // namespace dask::native
