// Nanny plugins are Python code that acts before the worker's interpreter starts (Environ, UploadDirectory). Each step of each runs in a
// Python process of its own (python/dask_native/nanny_plugin.py), which tells what it changed: variables and import paths of the executor.
#include <unistd.h>

#include <fstream>

#include "core/runtime/log.h"
#include "core/wire/message.h"
#include "core/wire/pickle.h"
#include "worker/server/nanny.h"

namespace dask::worker {

// One step of a plugin: its process and the two files between us.
struct Nanny::PluginStep {
  std::string request, answer;
  std::unique_ptr<net::Child> child;
  std::string last_line;
  ~PluginStep() {
    ::unlink(request.c_str());
    ::unlink(answer.c_str());
  }
};

void Nanny::add_plugins(Value::Map plugins, std::function<void()> done) {
  if (plugins.empty()) return done();
  const auto open = std::make_shared<std::size_t>(plugins.size());
  for (auto& [name, plugin] : plugins)
    plugin_add(plugin, std::string(name.as_string()), [open, done](const Value&) {
      if (--*open == 0) done();
    });
}

void Nanny::plugin_add(const Value& plugin, const std::string& name, std::function<void(Value)> done) {
  if (!plugin.bytes())
    return done(wire::error_message("builtins", "TypeError", "a nanny plugin must come as the bytes of a pickle", "error"));
  plugins_[name] = *plugin.bytes();
  log_line(LogLevel::kInfo, "distributed.nanny", "Starting Nanny plugin " + name);
  run_plugin("setup", name, *plugin.bytes(), [this, name, done = std::move(done)](Value answer) {
    if (answer["status"].as_string() != "OK") {
      log_line(LogLevel::kError, "distributed.nanny",
               fmt::format("Nanny plugin {} failed to setup: {}", name, answer["exception_text"].as_string()));
      return done(std::move(answer));
    }
    if (const Value::Map* env = answer["env"].map_if())
      for (const auto& [variable, value] : *env) options_.environment[std::string(variable.as_string())] = value.as_string();
    for (const std::string& path : net::strings_of(answer["paths"]))
      options_.python_path += (options_.python_path.empty() ? "" : ":") + path;
    const auto ok = [done] { done(Value(Value::Map{{"status", "OK"}})); };
    if (!answer["restart"].as_bool() || !worker_ || closing_) return ok();
    running_waiters_.push_back(ok);
    worker_->close("nanny-plugin-" + name + "-restart", true);
  });
}

void Nanny::plugin_remove(const std::string& name, std::function<void(Value)> done) {
  log_line(LogLevel::kInfo, "distributed.nanny", "Removing Nanny plugin " + name);
  const auto it = plugins_.find(name);
  if (it == plugins_.end()) return done(wire::error_message("builtins", "KeyError", name, "error"));
  const Bytes plugin = it->second;
  plugins_.erase(it);
  run_plugin("teardown", name, plugin, [done = std::move(done)](Value answer) {
    done(answer["status"].as_string() == "OK" ? Value(Value::Map{{"status", "OK"}}) : std::move(answer));
  });
}

void Nanny::run_plugin(const std::string& step, const std::string& name, const Bytes& plugin, std::function<void(Value)> done) {
  const auto failed = [name](const std::string& why) {
    return wire::error_message("builtins", "RuntimeError", "nanny plugin " + name + " could not be run: " + why, "error");
  };
  auto running = std::make_shared<PluginStep>();
  const std::string base = fmt::format("{}/dask-nanny-plugin-{}-{}", options_.local_directory, getpid(), next_plugin_step_++);
  running->request = base + ".request";
  running->answer = base + ".answer";
  Value environment = Value::map();
  for (const auto& [variable, value] : options_.environment) environment.set(variable, value);
  const Value request(Value::Map{{"plugin", plugin},
                                 {"address", address_},
                                 {"scheduler", options_.scheduler_address},
                                 {"local_directory", options_.local_directory},
                                 {"name", options_.name},
                                 {"nthreads", options_.nthreads},
                                 {"env", std::move(environment)}});
  std::ofstream file(running->request, std::ios::binary);
  file << wire::encode_msgpack(request);
  file.close();
  if (!file) return done(failed("cannot write " + running->request));

  ProcessOptions process;
  process.argv = {options_.python, "-m", "dask_native.nanny_plugin", step, running->request, running->answer};
  process.environment = options_.environment;
  const char* inherited = std::getenv("PYTHONPATH");
  if (!options_.python_path.empty())
    process.environment["PYTHONPATH"] = options_.python_path + (inherited ? ":" + std::string(inherited) : "");
  process.capture_output = true;
  net::Child::Handlers handlers;
  handlers.line = [running = running.get()](std::string_view line) {
    running->last_line = line;
    log_line(LogLevel::kInfo, "distributed.nanny", line);
  };
  handlers.exited = [this, id = next_plugin_step_, failed, done](ExitStatus status) {
    const std::shared_ptr<PluginStep> ended = std::move(plugin_steps_[id]);
    plugin_steps_.erase(id);
    std::ifstream answer_file(ended->answer, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(answer_file)), std::istreambuf_iterator<char>());
    auto answer = wire::decode_msgpack(Bytes::own(std::move(text)));
    if (!status.ok() || !answer || !answer->is_map()) return done(failed(status.str() + "; its last line: " + ended->last_line));
    done(*std::move(answer));
  };
  auto child = net::Child::start(loop_, process, std::move(handlers));
  if (!child) return done(failed(child.error().message));
  running->child = *std::move(child);
  plugin_steps_[next_plugin_step_] = std::move(running);
}

}  // namespace dask::worker
