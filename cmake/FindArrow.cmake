# Finds Apache Arrow where no Arrow package is installed: in the pyarrow wheel of .venv (or of DASK_PYTHON). Defines Arrow::arrow_shared.
# libarrow needs only libc and libstdc++, so programs that link it need no Python. Its ABI is that of the C++11 strings, as ours; checked.
# A build finds the wheel's library by its path; an installed program by the name libarrow.so.N in the library path.
find_package(Arrow CONFIG QUIET)
if(TARGET Arrow::arrow_shared)
  set(Arrow_FOUND TRUE)
  return()
endif()

set(DASK_PYTHON "${CMAKE_SOURCE_DIR}/.venv/bin/python" CACHE FILEPATH "The Python whose pyarrow lends its libarrow")
if(EXISTS "${DASK_PYTHON}")
  execute_process(COMMAND "${DASK_PYTHON}" -c "import pyarrow, pathlib; print(pathlib.Path(pyarrow.__file__).parent)"
                  OUTPUT_VARIABLE _pyarrow OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(_pyarrow AND EXISTS "${_pyarrow}/include/arrow/util/config.h")
  file(STRINGS "${_pyarrow}/include/arrow/util/config.h" _so REGEX "ARROW_SO_VERSION")
  string(REGEX REPLACE ".*\"([0-9]+)\".*" "\\1" _so "${_so}")
  file(STRINGS "${_pyarrow}/include/arrow/util/config.h" _version REGEX "ARROW_VERSION_STRING")
  string(REGEX REPLACE ".*\"([0-9.]+)\".*" "\\1" Arrow_VERSION "${_version}")
  set(Arrow_LIBRARY "${_pyarrow}/libarrow.so.${_so}")
  set(Arrow_INCLUDE_DIR "${_pyarrow}/include")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Arrow REQUIRED_VARS Arrow_LIBRARY Arrow_INCLUDE_DIR VERSION_VAR Arrow_VERSION)
if(Arrow_FOUND AND NOT TARGET Arrow::arrow_shared)
  add_library(Arrow::arrow_shared SHARED IMPORTED)
  set_target_properties(Arrow::arrow_shared PROPERTIES IMPORTED_LOCATION "${Arrow_LIBRARY}" INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${Arrow_INCLUDE_DIR}"
                        INTERFACE_INCLUDE_DIRECTORIES "${Arrow_INCLUDE_DIR}" INTERFACE_COMPILE_DEFINITIONS "_GLIBCXX_USE_CXX11_ABI=1")
endif()
