// Task functions that several tests use.
#pragma once

#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace dask::testing_functions {

struct NoSuchAirport : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline int inc(int x) { return x + 1; }
inline int add(int x, int y) { return x + y; }
inline int sum(const std::vector<int>& values) { return std::accumulate(values.begin(), values.end(), 0); }
inline std::string greet(const std::string& name) { return "hello " + name; }
inline int look_up(int airport) { throw NoSuchAirport("no airport " + std::to_string(airport)); }
inline std::vector<double> many(int size) { return std::vector<double>(static_cast<std::size_t>(size), 1.5); }
inline double total(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

}  // namespace dask::testing_functions
