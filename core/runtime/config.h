// Config: Dask's configuration as the Python programs read it: built-in defaults, YAML files, DASK_* variables, inherited
// configuration; nested maps, with "-" and "_" alike in names. Source: dask/config.py, distributed/config.py.
// A Config is a value: it is read once at start and handed to those who need it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace dask {

// Seconds from "5 minutes", "100 ms", "1h", "3" (dask.utils.parse_timedelta). A bare number is in seconds.
Result<double> parse_timedelta(std::string_view text);
// Bytes from "64MiB", "5.4 kB", "1e6" (dask.utils.parse_bytes).
Result<std::uint64_t> parse_bytes(std::string_view text);

class Config {
 public:
  // Only the built-in defaults: what a scheduler needs of distributed.yaml.
  Config();

  // What the process's environment says. `environment` is all variables; HOME, DASK_CONFIG, DASK_ROOT_CONFIG,
  // VIRTUAL_ENV/CONDA_PREFIX (for sys.prefix) and DASK_* are used.
  static Result<Config> load(const std::map<std::string, std::string>& environment);
  static Result<Config> load_from_process();

  // Layers on top of what is there; `source` says where it came from in messages.
  Result<void> add_yaml(std::string_view text, const std::string& source);
  Result<void> add_files(const std::vector<std::string>& paths);  // files, or folders of *.yaml, *.yml, *.json
  Result<void> add_environment(const std::map<std::string, std::string>& environment);
  // One value, key as "distributed.scheduler.worker-ttl".
  void set(std::string_view key, Value value, const std::string& source = "set()");

  // The raw value; null when there is none.
  const Value* find(std::string_view key) const;

  // Typed reads. kNotFound without the key; kInvalidArgument names the key, the value, its source and what is allowed.
  Result<double> get_double(std::string_view key) const;
  Result<std::int64_t> get_int(std::string_view key) const;
  Result<bool> get_bool(std::string_view key) const;
  Result<std::string> get_string(std::string_view key) const;
  Result<std::optional<double>> get_seconds(std::string_view key) const;       // null: nullopt
  Result<std::optional<std::uint64_t>> get_bytes(std::string_view key) const;  // null, false: nullopt

  // Where the value of `key` came from: "built-in defaults", a file's path, "environment variable DASK_…".
  std::string source(std::string_view key) const;
  // Deprecated and removed names that were met while loading, as lines for the log.
  const std::vector<std::string>& warnings() const { return warnings_; }
  const Value& root() const { return root_; }

 private:
  Result<const Value*> require(std::string_view key) const;
  tl::unexpected<Error> wrong(std::string_view key, const Value& value, std::string_view allowed) const;
  void merge(Value& into, const Value& from, const std::string& prefix, const std::string& source);
  void apply(Value layer, const std::string& source);

  Value root_ = Value::map();
  std::map<std::string, std::string, std::less<>> sources_;  // canonical dotted key -> where it was set
  std::vector<std::string> warnings_;
};

}  // namespace dask
