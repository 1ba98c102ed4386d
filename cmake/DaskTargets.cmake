# The three kinds of target in this repository, so that a folder's CMakeLists.txt is one line.

add_library(dask_options INTERFACE)
target_include_directories(dask_options INTERFACE ${CMAKE_SOURCE_DIR})
# Boost 1.74's coroutines compile under GCC 12 once <utility> comes first.
target_compile_options(dask_options INTERFACE -Wall -Wextra -Wshadow -Wno-missing-field-initializers -include utility)
target_compile_definitions(dask_options INTERFACE BOOST_ASIO_HAS_CO_AWAIT BOOST_ASIO_HAS_STD_COROUTINE
                                                  BOOST_ASIO_DISABLE_DEPRECATED_MSG BOOST_ASIO_NO_DEPRECATED)
if(DASK_SANITIZE)
  target_compile_options(dask_options INTERFACE -fsanitize=${DASK_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(dask_options INTERFACE -fsanitize=${DASK_SANITIZE})
endif()
find_program(DASK_MOLD mold)
if(DASK_MOLD)
  target_link_options(dask_options INTERFACE -fuse-ld=mold)
endif()

# dask_library(name [DEPS target...] [ONLY regex | EXCEPT regex]): all .cc files of the current folder except main.cc and *_main.cc;
# ONLY and EXCEPT split a folder into two libraries by their file names.
function(dask_library name)
  cmake_parse_arguments(ARG "" "ONLY;EXCEPT" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "(^|/)([a-z_]*_)?main\\.cc$")
  if(ARG_ONLY)
    list(FILTER sources INCLUDE REGEX "/${ARG_ONLY}[^/]*$")
  elseif(ARG_EXCEPT)
    list(FILTER sources EXCLUDE REGEX "/${ARG_EXCEPT}[^/]*$")
  endif()
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC dask_options ${ARG_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE dask_options ${ARG_DEPS})
  endif()
endfunction()

# dask_program(name SOURCE file [DEPS target...]): an executable in build/bin.
function(dask_program name)
  cmake_parse_arguments(ARG "" "SOURCE" "DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCE})
  target_link_libraries(${name} PRIVATE dask_options ${ARG_DEPS})
  if("CLI11::CLI11" IN_LIST ARG_DEPS)
    set_source_files_properties(${ARG_SOURCE} PROPERTIES COMPILE_OPTIONS -O1)  # reading flags once is not worth 10 s of optimising CLI11
  endif()
endfunction()

# dask_test(name [DEPS target...] [LABELS label...]): all *_test.cc of the current folder in one GoogleTest program, one ctest per case.
function(dask_test name)
  cmake_parse_arguments(ARG "" "" "DEPS;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)  # an empty list would take TIMEOUT for a label
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE dask_options ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_options(${name} PRIVATE -O0)  # what is tested keeps its preset's: half of the time of all builds was optimising tests
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  gtest_discover_tests(${name} TEST_PREFIX "${name}." WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300)
endfunction()
