// PackageVersions: which versions of Python packages the workers have, and the table that warns a client or worker whose packages
// differ from the scheduler's and the workers'. Counted, not compared one by one: a registration costs O(packages) with any number of
// workers. Source: distributed/versions.py, error_message. Who reports no packages (it has no Python) is left out.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "core/base/value.h"

namespace dask::scheduler {

class PackageVersions {
 public:
  // `versions`: what distributed's get_versions() gives, {"packages": {name: version}}.
  void add_worker(const Value& versions);
  void remove_worker(const Value& versions);
  // The warning for who registers, called `source_name` in it; empty when nothing differs. Of the scheduler only what it uses itself
  // is compared; nil: it does not know its packages yet.
  std::string compare(const Value& scheduler, const Value& source, std::string_view source_name) const;

 private:
  std::size_t workers_ = 0;
  std::map<std::string, std::map<std::string, std::size_t>> packages_;  // name -> repr of the version -> workers that have it
};

}  // namespace dask::scheduler
