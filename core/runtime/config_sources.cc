// Where configuration comes from: Dask's folders, DASK_* variables and configuration inherited from a parent program.
// Source: dask/config.py (_get_paths, collect_yaml, collect_env, deserialize).
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/runtime/config.h"
#include "core/runtime/python_literal.h"
#include "core/runtime/yaml.h"

extern char** environ;

namespace dask {

namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kFileBytesMax = 16 << 20;
constexpr std::string_view kInherit = "DASK_INTERNAL_INHERIT_CONFIG";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

// foo__bar_baz -> foo.bar_baz
std::string dotted(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    bool nested = name.starts_with("__");
    out += nested ? '.' : name.front();
    name.remove_prefix(nested ? 2 : 1);
  }
  return out;
}

// The files that a path stands for; what cannot be read is passed over, as Dask does.
std::vector<std::string> expand(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return fs::exists(path, error) ? std::vector{path} : std::vector<std::string>();
  std::vector<std::string> files;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    std::string extension = lower(at->path().extension().string());
    if (extension == ".yaml" || extension == ".yml" || extension == ".json") files.push_back(at->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> search_paths(const std::map<std::string, std::string>& environment) {
  auto get = [&](const char* name) {
    auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  std::vector<std::string> paths;
  paths.push_back(get("DASK_ROOT_CONFIG").empty() ? "/etc/dask" : get("DASK_ROOT_CONFIG"));
  for (const char* prefix : {"CONDA_PREFIX", "VIRTUAL_ENV"}) {  // stand for Python's sys.prefix
    if (!get(prefix).empty()) paths.push_back(get(prefix) + "/etc/dask");
  }
  if (!get("HOME").empty()) paths.push_back(get("HOME") + "/.config/dask");
  if (!get("DASK_CONFIG").empty()) paths.push_back(get("DASK_CONFIG"));
  // A path that comes twice counts where it comes last.
  for (std::size_t i = 0; i < paths.size();) {
    bool again = std::find(paths.begin() + static_cast<std::ptrdiff_t>(i) + 1, paths.end(), paths[i]) != paths.end();
    if (again)
      paths.erase(paths.begin() + static_cast<std::ptrdiff_t>(i));
    else
      ++i;
  }
  return paths;
}

// URL-safe base64 with padding; false when it is none.
bool decode_base64(std::string_view text, std::string& out) {
  while (!text.empty() && (text.back() == '=' || text.back() == '\n')) text.remove_suffix(1);
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    int digit;
    if (c >= 'A' && c <= 'Z')
      digit = c - 'A';
    else if (c >= 'a' && c <= 'z')
      digit = c - 'a' + 26;
    else if (c >= '0' && c <= '9')
      digit = c - '0' + 52;
    else if (c == '-' || c == '+')
      digit = 62;
    else if (c == '_' || c == '/')
      digit = 63;
    else
      return false;
    bits = (bits << 6) | static_cast<std::uint32_t>(digit);
    if ((count += 6) >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 0xff);
    }
  }
  return true;
}

}  // namespace

Result<void> Config::add_files(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    for (const std::string& file : expand(path)) {
      std::error_code error;
      if (fs::file_size(file, error) > kFileBytesMax && !error) {
        return fail(ErrorCode::kLimit, fmt::format("configuration file {} is larger than {} bytes", file, kFileBytesMax));
      }
      std::ifstream stream(file, std::ios::binary);
      if (!stream) continue;
      std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
      DASK_TRY_VOID(add_yaml(text, file));
    }
  }
  return {};
}

Result<void> Config::add_environment(const std::map<std::string, std::string>& environment) {
  if (auto inherited = environment.find(std::string(kInherit)); inherited != environment.end()) {
    std::string json;
    if (!decode_base64(inherited->second, json)) {
      return fail(ErrorCode::kMalformed,
                  fmt::format("environment variable {} is no base64; it is set by Dask for its child programs", kInherit));
    }
    auto layer = parse_python_json(json);
    if (!layer || !layer->is_map()) {
      return fail(ErrorCode::kMalformed, fmt::format("environment variable {} holds no JSON map: {}", kInherit,
                                                     layer ? layer->repr().substr(0, 100) : layer.error().message));
    }
    apply(*std::move(layer), fmt::format("environment variable {}", kInherit));
  }
  for (const auto& [name, text] : environment) {
    if (!name.starts_with("DASK_") || name == kInherit || name == "DASK_CONFIG" || name == "DASK_ROOT_CONFIG") continue;
    std::string key = lower(std::string_view(name).substr(5));
    key = dotted(key);
    if (key.empty() || key.front() == '.' || key.back() == '.' || key.find("..") != std::string::npos) {
      warnings_.push_back(fmt::format("environment variable {} names no configuration key; use DASK_SECTION__KEY", name));
      continue;
    }
    set(key, interpret_value(text), "environment variable " + name);
  }
  return {};
}

Result<Config> Config::load(const std::map<std::string, std::string>& environment) {
  Config config;
  DASK_TRY_VOID(config.add_files(search_paths(environment)));
  DASK_TRY_VOID(config.add_environment(environment));
  return config;
}

Result<Config> Config::load_from_process() {
  std::map<std::string, std::string> environment;
  for (char** at = environ; at && *at; ++at) {
    std::string_view line(*at);
    auto equals = line.find('=');
    if (equals != std::string_view::npos) environment.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return load(environment);
}

}  // namespace dask
