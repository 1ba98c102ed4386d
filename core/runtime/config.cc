// Layers of configuration and typed reads of their sum. Source: dask/config.py (update, canonical_name, collect_env).
#include "core/runtime/config.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/base/check.h"
#include "core/runtime/config_defaults.h"
#include "core/runtime/yaml.h"

namespace dask {

namespace {

constexpr std::string_view kDefaultsSource = "built-in defaults";

std::string canonical(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c == '_') c = '-';
  }
  return out;
}

// The entry of a map whose name is `name`, "-" and "_" alike; an exact name wins.
Value* entry(Value& map, std::string_view name) {
  auto* entries = std::get_if<Value::Map>(&map.variant());
  if (!entries) return nullptr;
  Value* alike = nullptr;
  for (auto& [key, value] : *entries) {
    const std::string* text = key.string();
    if (!text) continue;
    if (*text == name) return &value;
    if (!alike && text->size() == name.size() && canonical(*text) == canonical(name)) alike = &value;
  }
  return alike;
}

// Splits "a.b.c" into "a" and "b.c".
std::pair<std::string_view, std::string_view> split_key(std::string_view key) {
  auto dot = key.find('.');
  if (dot == std::string_view::npos) return {key, {}};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

Value* find_in(Value& root, std::string_view key) {
  Value* at = &root;
  while (at && !key.empty()) {
    auto [name, rest] = split_key(key);
    at = entry(*at, name);
    key = rest;
  }
  return at;
}

void assign(Value& root, std::string_view key, Value value) {
  auto [name, rest] = split_key(key);
  if (!root.is_map()) root = Value::map();
  Value* at = entry(root, name);
  if (!at) at = &root.set(name, Value());
  if (rest.empty())
    *at = std::move(value);
  else
    assign(*at, rest, std::move(value));
}

// Removes a key; true when it was there, with its value in `out`.
bool take(Value& root, std::string_view key, Value& out) {
  auto dot = key.rfind('.');
  Value* parent = dot == std::string_view::npos ? &root : find_in(root, key.substr(0, dot));
  std::string_view name = dot == std::string_view::npos ? key : key.substr(dot + 1);
  if (!parent) return false;
  Value* found = entry(*parent, name);
  if (!found) return false;
  out = std::move(*found);
  auto& entries = std::get<Value::Map>(parent->variant());
  std::erase_if(entries, [found](const auto& each) { return &each.second == found; });
  return true;
}

// Old names that distributed/config.py still understands, as far as our programs read the new ones.
constexpr std::pair<std::string_view, std::string_view> kRenamed[] = {
    {"allowed-failures", "distributed.scheduler.allowed-failures"},
    {"bandwidth", "distributed.scheduler.bandwidth"},
    {"default-data-size", "distributed.scheduler.default-data-size"},
    {"work-stealing", "distributed.scheduler.work-stealing"},
    {"worker-ttl", "distributed.scheduler.worker-ttl"},
    {"worker-memory-target", "distributed.worker.memory.target"},
    {"worker-memory-spill", "distributed.worker.memory.spill"},
    {"worker-memory-pause", "distributed.worker.memory.pause"},
    {"worker-memory-terminate", "distributed.worker.memory.terminate"},
    {"heartbeat-interval", "distributed.client.heartbeat"},
    {"compression", "distributed.comm.compression"},
    {"connect-timeout", "distributed.comm.timeouts.connect"},
    {"tcp-timeout", "distributed.comm.timeouts.tcp"},
    {"default-scheme", "distributed.comm.default-scheme"},
    {"socket-backlog", "distributed.comm.socket-backlog"},
    {"diagnostics-link", "distributed.dashboard.link"},
    {"tick-time", "distributed.admin.tick.interval"},
    {"tick-maximum-delay", "distributed.admin.tick.limit"},
    {"log-length", "distributed.admin.log-length"},
    {"log-format", "distributed.admin.log-format"},
    {"transition-log-length", "distributed.admin.low-level-log-length"},
    {"distributed.scheduler.transition-log-length", "distributed.admin.low-level-log-length"},
    {"distributed.scheduler.events-log-length", "distributed.admin.low-level-log-length"},
    {"recent-messages-log-length", "distributed.admin.low-level-log-length"},
    {"distributed.comm.recent-messages-log-length", "distributed.admin.low-level-log-length"},
    {"distributed.p2p.disk", "distributed.p2p.storage.disk"},
};

}  // namespace

Config::Config() {
  auto defaults = parse_yaml(config_defaults_yaml());
  DASK_CHECK(defaults.has_value(), "built-in configuration: {}", defaults ? "" : defaults.error().message);
  root_ = *std::move(defaults);
}

void Config::merge(Value& into, const Value& from, const std::string& prefix, const std::string& source) {
  for (const auto& [key, value] : *from.map_if()) {
    const std::string* name = key.string();
    if (!name) {  // a name that is no text (a number) has no dotted key
      bool known = false;
      for (auto& [old_key, old_value] : std::get<Value::Map>(into.variant())) {
        if (old_key == key) {
          old_value = value;
          known = true;
        }
      }
      if (!known) std::get<Value::Map>(into.variant()).emplace_back(key, value);
      continue;
    }
    std::string dotted = prefix.empty() ? canonical(*name) : prefix + "." + canonical(*name);
    Value* old = entry(into, *name);
    if (!old) old = &into.set(*name, Value());
    if (value.is_map()) {
      if (!old->is_map()) *old = Value::map();
      merge(*old, value, dotted, source);
    } else {
      *old = value;
    }
    sources_[dotted] = source;
  }
}

void Config::apply(Value layer, const std::string& source) {
  for (const auto& [old_name, new_name] : kRenamed) {
    Value value;
    if (!take(layer, old_name, value)) continue;
    warnings_.push_back(fmt::format("configuration {} ({}) is deprecated; use {}", old_name, source, new_name));
    if (!find_in(layer, new_name)) assign(layer, new_name, std::move(value));
  }
  merge(root_, layer, "", source);
}

Result<void> Config::add_yaml(std::string_view text, const std::string& source) {
  auto layer = parse_yaml(text);
  if (!layer) return fail(ErrorCode::kMalformed, fmt::format("configuration file {} is malformed: {}", source, layer.error().message));
  if (layer->is_nil()) return {};
  if (!layer->is_map())
    return fail(ErrorCode::kMalformed,
                fmt::format("configuration file {} is malformed: a map is expected at the top, not {:.100}", source, layer->repr()));
  apply(*std::move(layer), source);
  return {};
}

void Config::set(std::string_view key, Value value, const std::string& source) {
  Value layer = Value::map();
  assign(layer, key, std::move(value));
  apply(std::move(layer), source);
}

const Value* Config::find(std::string_view key) const { return find_in(const_cast<Value&>(root_), key); }

std::string Config::source(std::string_view key) const {
  std::string dotted = canonical(key);
  auto found = sources_.find(dotted);
  return found == sources_.end() ? std::string(kDefaultsSource) : found->second;
}

// ---- typed reads --------------------------------------------------------------------------------------------------------

Result<const Value*> Config::require(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return fail(ErrorCode::kNotFound, fmt::format("configuration {} is not set", key));
  return value;
}

tl::unexpected<Error> Config::wrong(std::string_view key, const Value& value, std::string_view allowed) const {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("configuration {}: {:.200} (from {}) is wrong; {}", key, value.repr(), source(key), allowed));
}

Result<double> Config::get_double(std::string_view key) const {
  DASK_TRY(const Value* value, require(key));
  double number = 0;
  if (value->is_number()) {
    number = value->as_double();
  } else if (const std::string* text = value->string()) {  // "inf" cannot be written otherwise in a variable
    auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc() || end != text->data() + text->size()) return wrong(key, *value, "use a number");
  } else {
    return wrong(key, *value, "use a number");
  }
  if (std::isnan(number)) return wrong(key, *value, "use a number");
  return number;
}

Result<std::int64_t> Config::get_int(std::string_view key) const {
  DASK_TRY(const Value* value, require(key));
  std::int64_t number = 0;
  if (value->is_int() && !(value->as_uint64() && *value->as_uint64() > static_cast<std::uint64_t>(INT64_MAX))) return value->as_int();
  if (value->is_double()) {
    double real = value->as_double();
    if (std::trunc(real) == real && std::abs(real) < 0x1p53) return static_cast<std::int64_t>(real);
  } else if (const std::string* text = value->string()) {
    auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error == std::errc() && end == text->data() + text->size()) return number;
  }
  return wrong(key, *value, "use a whole number");
}

Result<bool> Config::get_bool(std::string_view key) const {
  DASK_TRY(const Value* value, require(key));
  if (value->is_bool()) return value->as_bool();
  if (value->is_int() && (*value == Value(0) || *value == Value(1))) return value->as_int() == 1;
  for (const char* yes : {"true", "True", "yes", "on"}) {
    if (value->as_string() == yes) return true;
  }
  for (const char* no : {"false", "False", "no", "off"}) {
    if (value->as_string() == no) return false;
  }
  return wrong(key, *value, "use true or false");
}

Result<std::string> Config::get_string(std::string_view key) const {
  DASK_TRY(const Value* value, require(key));
  if (const std::string* text = value->string()) return *text;
  return wrong(key, *value, "use a text");
}

Result<std::optional<double>> Config::get_seconds(std::string_view key) const {
  constexpr std::string_view kAllowed = "use a duration such as '500ms', '30s', '5 minutes', '1h', or null for none";
  DASK_TRY(const Value* value, require(key));
  if (value->is_nil() || (value->is_bool() && !value->as_bool())) return std::optional<double>();
  if (value->is_number()) {
    double seconds = value->as_double();
    if (!(seconds >= 0) || !std::isfinite(seconds)) return wrong(key, *value, kAllowed);
    return std::optional<double>(seconds);
  }
  if (!value->is_string()) return wrong(key, *value, kAllowed);
  auto seconds = parse_timedelta(value->as_string());
  if (!seconds) return wrong(key, *value, kAllowed);
  return std::optional<double>(*seconds);
}

Result<std::optional<std::uint64_t>> Config::get_bytes(std::string_view key) const {
  constexpr std::string_view kAllowed = "use a size such as '100MB', '64MiB', 1000000";
  DASK_TRY(const Value* value, require(key));
  if (value->is_nil() || (value->is_bool() && !value->as_bool())) return std::optional<std::uint64_t>();
  if (value->is_number()) {
    double bytes = value->as_double();
    if (!(bytes >= 0) || bytes >= 0x1p63) return wrong(key, *value, kAllowed);
    return std::optional<std::uint64_t>(static_cast<std::uint64_t>(bytes));
  }
  if (!value->is_string()) return wrong(key, *value, kAllowed);
  auto bytes = parse_bytes(value->as_string());
  if (!bytes) return wrong(key, *value, kAllowed);
  return std::optional<std::uint64_t>(*bytes);
}

}  // namespace dask
