// Where the Python side of a program is: an installed wheel has programs in site-packages/dask_native/bin, a build tree in build/bin.
#pragma once

#include <string>
#include <string_view>

namespace dask {

// DASK_NATIVE_PYTHON; else the interpreter of the environment that this program is installed in, or of the checkout's .venv;
// else python3.
std::string find_python();
// DASK_NATIVE_PYTHONPATH; else the folder near this program that holds `file` (dask_native/...); else empty: whatever the
// interpreter finds itself.
std::string find_python_path(std::string_view file);
// A file that is installed beside the running program, unless the environment's `variable` says where it is; empty: not there.
std::string find_beside_program(std::string_view file, const char* variable);

}  // namespace dask
