#include "scheduler/extensions/package_versions.h"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace dask::scheduler {
namespace {

// Named limit: packages of one peer beyond these many are not looked at.
constexpr std::size_t kPackagesMax = 1000;
constexpr std::string_view kMissing = "'MISSING'";
constexpr std::array<std::string_view, 7> kOfTheScheduler = {"cloudpickle", "dask", "distributed", "lz4", "python", "toolz", "tornado"};

const Value::Map* packages_of(const Value& versions) {
  const Value::Map* packages = versions["packages"].map_if();
  return packages && !packages->empty() ? packages : nullptr;
}

template <class Use>
void each_package(const Value::Map& packages, Use use) {
  for (std::size_t i = 0; i < std::min(packages.size(), kPackagesMax); ++i)
    if (const std::string* name = packages[i].first.string()) use(*name, packages[i].second.repr());
}

std::map<std::string, std::string> reprs_of(const Value::Map& packages) {
  std::map<std::string, std::string> out;
  each_package(packages, [&](const std::string& name, std::string version) { out[name] = std::move(version); });
  return out;
}

// Python's str() of what has this repr: texts without their quotes.
std::string text_of(const std::string& repr) { return repr.size() >= 2 && repr.front() == '\'' ? repr.substr(1, repr.size() - 2) : repr; }

std::string text_of_all(const std::set<std::string>& versions) {
  if (versions.empty()) return "None";
  if (versions.size() == 1) return text_of(*versions.begin());
  std::string out;
  for (const std::string& version : versions) out += (out.empty() ? "{" : ", ") + version;
  return out + "}";
}

using Row = std::array<std::string, 4>;

// distributed.utils.asciitable.
std::string table_of(const std::vector<Row>& rows) {
  std::array<std::size_t, 4> widths{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string bar = "+";
  for (std::size_t width : widths) bar += std::string(width + 2, '-') + "+";
  std::string out = bar;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out += "\n|";
    for (std::size_t j = 0; j < widths.size(); ++j) out += " " + rows[i][j] + std::string(widths[j] - rows[i][j].size(), ' ') + " |";
    if (i == 0) out += "\n" + bar;
  }
  return out + "\n" + bar;
}

}  // namespace

void PackageVersions::add_worker(const Value& versions) {
  const Value::Map* packages = packages_of(versions);
  if (!packages) return;
  ++workers_;
  for (const auto& [name, version] : reprs_of(*packages)) ++packages_[name][version];
}

void PackageVersions::remove_worker(const Value& versions) {
  const Value::Map* packages = packages_of(versions);
  if (!packages || workers_ == 0) return;
  --workers_;
  for (const auto& [name, version] : reprs_of(*packages)) {
    const auto package = packages_.find(name);
    if (package == packages_.end()) continue;
    const auto count = package->second.find(version);
    if (count != package->second.end() && --count->second == 0) package->second.erase(count);
    if (package->second.empty()) packages_.erase(package);
  }
}

std::string PackageVersions::compare(const Value& scheduler, const Value& source, std::string_view source_name) const {
  const Value::Map* source_packages = packages_of(source);
  if (!source_packages) return "";
  const std::map<std::string, std::string> asked = reprs_of(*source_packages);
  std::map<std::string, std::string> own;
  if (const Value::Map* packages = packages_of(scheduler)) own = reprs_of(*packages);
  std::set<std::string> names;
  for (const auto& [name, version] : asked) names.insert(name);
  for (const auto& [name, version] : own) names.insert(name);
  for (const auto& [name, versions] : packages_) names.insert(name);

  const auto version_in = [](const std::map<std::string, std::string>& versions, const std::string& name) {
    const auto it = versions.find(name);
    return it == versions.end() ? std::string(kMissing) : it->second;
  };
  std::vector<Row> rows{{"Package", std::string(source_name), "Scheduler", "Workers"}};
  for (const std::string& name : names) {
    std::set<std::string> of_workers;
    std::size_t having = 0;
    if (const auto package = packages_.find(name); package != packages_.end())
      for (const auto& [version, count] : package->second) {
        of_workers.insert(version);
        having += count;
      }
    if (having < workers_) of_workers.insert(std::string(kMissing));
    const std::string of_source = version_in(asked, name), of_scheduler = own.empty() ? "'UNKNOWN'" : version_in(own, name);
    std::set<std::string> versions = of_workers;
    versions.insert(of_source);
    if (!own.empty() && std::find(kOfTheScheduler.begin(), kOfTheScheduler.end(), name) != kOfTheScheduler.end())
      versions.insert(of_scheduler);
    if (versions.size() > 1) rows.push_back({name, text_of(of_source), text_of(of_scheduler), text_of_all(of_workers)});
  }
  return rows.size() == 1 ? "" : "Mismatched versions found\n\n" + table_of(rows);
}

}  // namespace dask::scheduler
