# find_package(dask-native) gives the target dask-native::dask-native: headers and libdask-native.
include(CMakeFindDependencyMacro)
find_dependency(tl-expected)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/dask-nativeTargets.cmake)
