// Nanny plugins are Python code that runs before the worker's interpreter starts (Environ, UploadDirectory): each is run in a Python process of
// its own, which tells what it changed: variables for the interpreter's environment.
#include "core/runtime/log.h"
#include "core/wire/pickle.h"
#include "worker/server/nanny.h"

namespace dask::worker {

void Nanny::add_plugins(Value::Map plugins, std::function<void()> done) {
  if (plugins.empty()) return done();
  const auto open = std::make_shared<std::size_t>(plugins.size());
  for (auto& [name, plugin] : plugins)
    plugin_add(plugin, std::string(name.as_string()), [open, done](const Value&) {
      if (--*open == 0) done();
    });
}

void Nanny::plugin_add(const Value& plugin, const std::string& name, std::function<void(Value)> done) {
  if (plugin.bytes()) plugins_[name] = *plugin.bytes();
  const std::string why = "dask-native's nanny does not run the nanny plugin '" + name + "' yet";
  log_error("{}", why);
  done(wire::error_message("builtins", "NotImplementedError", why, "error"));
}

void Nanny::plugin_remove(const std::string& name, std::function<void(Value)> done) {
  if (plugins_.erase(name) > 0) return done(Value(Value::Map{{"status", "OK"}}));
  done(wire::error_message("builtins", "KeyError", name, "error"));
}

}  // namespace dask::worker
