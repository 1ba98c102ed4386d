#include "dask/config.h"

#include <mutex>
#include <stdexcept>

#include "client/settings.h"

namespace dask {
namespace {

struct Settings {
  std::mutex mutex;
  std::optional<Config> config;
};

// The one configuration of the program, as in Dask.
Settings& settings() {
  static Settings all;
  return all;
}

Config& loaded(Settings& all) {
  if (!all.config) {
    auto config = Config::load_from_process();
    if (!config) throw std::invalid_argument("wrong configuration: " + config.error().message);
    all.config = *std::move(config);
  }
  return *all.config;
}

void restore(std::vector<std::pair<std::string, std::optional<Value>>>& before) {
  const std::lock_guard lock(settings().mutex);
  Config& config = loaded(settings());
  // Backwards: a name that was set twice gets its first value back.
  for (auto it = before.rbegin(); it != before.rend(); ++it) config.set(it->first, it->second ? *std::move(it->second) : Value());
  before.clear();
}

}  // namespace

namespace config {

Change set(std::initializer_list<Setting> list) {
  Change change;
  const std::lock_guard lock(settings().mutex);
  Config& config = loaded(settings());
  for (const Setting& setting : list) {
    const Value* old = config.find(setting.name);
    change.before_.emplace_back(setting.name, old ? std::optional(*old) : std::nullopt);
    config.set(setting.name, setting.value, "dask::config::set()");
  }
  return change;
}

Scope::Scope(std::initializer_list<Setting> list) : Scope(set(list)) {}

Scope::~Scope() { restore(before_); }

std::optional<Value> find(std::string_view name) {
  const std::lock_guard lock(settings().mutex);
  const Value* value = loaded(settings()).find(name);
  return value && !value->is_nil() ? std::optional(*value) : std::nullopt;
}

std::string get(std::string_view name, std::string_view otherwise) {
  const std::optional<Value> value = find(name);
  if (!value) return std::string(otherwise);
  return value->is_string() ? std::string(value->as_string()) : value->repr();
}

}  // namespace config

namespace client {

Config current_config() {
  const std::lock_guard lock(settings().mutex);
  return loaded(settings());
}

}  // namespace client
}  // namespace dask
