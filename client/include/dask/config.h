// dask::config: Dask's configuration: its dotted names, its files, its DASK_* variables, read when first asked for.
//
//   dask::config::set({{"scheduler", "processes"}});                              // from now on, everywhere
//   dask::config::Scope scope = dask::config::set({{"scheduler", "threads"}});    // until the end of the block
//
// Thread safety: all functions may be called from any thread; a setting is seen by all threads, as in Dask.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/value.h"

namespace dask::config {

struct Setting {
  std::string name;  // "scheduler", "num_workers", "distributed.comm.timeouts.connect"
  Value value;
};

// What set() replaced. Dropped, the settings stay; kept in a Scope, they end with it.
class Change {
 public:
  Change(Change&&) noexcept = default;
  Change(const Change&) = delete;

 private:
  friend class Scope;
  friend Change set(std::initializer_list<Setting> settings);
  Change() = default;
  std::vector<std::pair<std::string, std::optional<Value>>> before_;
};

class Scope {
 public:
  Scope(Change change) : before_(std::move(change.before_)) {}
  Scope(std::initializer_list<Setting> settings);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  std::vector<std::pair<std::string, std::optional<Value>>> before_;
};

// Throws std::invalid_argument when the environment's configuration cannot be read.
Change set(std::initializer_list<Setting> settings);

// The value of a name; none when it is not set (or null).
std::optional<Value> find(std::string_view name);
std::string get(std::string_view name, std::string_view otherwise);

}  // namespace dask::config
