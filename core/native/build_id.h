// The build id of the program or library that holds an address: the linker's note, or a hash of the loaded code without one.
// Names of lambdas carry it, because their numbers mean something only within one build. Reads this process's memory, no file.
#pragma once

#include <string>

namespace dask::native {

// 16 hex digits.
std::string build_id_of(const void* address);
// The start of the loaded program or library that holds `address`; null when none does.
const void* module_of(const void* address);

}  // namespace dask::native
