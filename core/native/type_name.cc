#include "core/native/type_name.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace dask::native {

std::string demangled(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(mangled, nullptr, nullptr, &status), std::free);
  return status == 0 && text ? text.get() : mangled;
}

std::string demangled(const std::type_info& type) { return demangled(type.name()); }

}  // namespace dask::native
