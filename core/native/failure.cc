#include "core/native/failure.h"

#include <cxxabi.h>

#include <stdexcept>

#include "core/native/type_name.h"

namespace dask::native {

CallFailure current_failure() {
  CallFailure failure;
  failure.exception = std::current_exception();
  if (const std::type_info* type = abi::__cxa_current_exception_type()) failure.type = demangled(*type);
  // "std::__cxx11::basic_string…" and the like are of no use to people.
  if (failure.type.rfind("std::__cxx11::basic_string", 0) == 0) failure.type = "std::string";
  try {
    throw;
  } catch (const std::exception& error) {
    failure.message = error.what();
  } catch (const std::string& text) {
    failure.message = text;
  } catch (const char* text) {
    failure.message = text ? text : "";
  } catch (int number) {
    failure.message = std::to_string(number);
  } catch (...) {
    failure.message = "an exception that is no std::exception";
  }
  return failure;
}

}  // namespace dask::native
