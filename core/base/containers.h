// Containers from Boost.Container under our names: vectors with room for the usual few elements.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstddef>

namespace dask {

template <class T, std::size_t N>
using SmallVector = boost::container::small_vector<T, N>;

}  // namespace dask
