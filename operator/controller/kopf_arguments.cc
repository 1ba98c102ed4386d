// `kopf run` options as they stand in charts and manifests of Python's operator.
#include <array>
#include <string_view>

#include "operator/controller/options.h"

namespace dask::kube {

namespace {

// Options of kopf that do nothing here; those with a value take it along.
constexpr std::array<std::string_view, 11> kFlags = {"--verbose", "-v",           "--debug",      "-d",           "--quiet",      "-q",
                                                     "--dev",     "--standalone", "--no-peering", "--log-refkey", "--clusterwide"};
constexpr std::array<std::string_view, 9> kWithValue = {"--peering",    "-P", "--priority", "-p",        "--log-format",
                                                        "--log-prefix", "-m", "--module",   "--liveness"};

template <class Array>
bool contains(const Array& names, std::string_view name) {
  for (std::string_view one : names) {
    if (one == name) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> understand_kopf_arguments(const std::vector<std::string>& arguments, std::vector<std::string>& ignored) {
  std::vector<std::string> ours;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const std::string_view name = std::string_view(argument).substr(0, argument.find('='));
    if (argument == "-A") {
      ours.push_back("--all-namespaces");
    } else if (argument == "-n" && i + 1 < arguments.size()) {
      ours.push_back("--namespace");
      ours.push_back(arguments[++i]);
    } else if (contains(kFlags, argument)) {
      ignored.push_back(argument);
    } else if (contains(kWithValue, name)) {
      ignored.push_back(argument);
      if (name.size() == argument.size() && i + 1 < arguments.size()) ++i;
    } else {
      ours.push_back(argument);
    }
  }
  return ours;
}

}  // namespace dask::kube
