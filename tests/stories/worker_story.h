// Runs one story of a worker: its events go into a Machine, its expectations are compared with what came out.
// README.md describes the language. After every event State::validate() must find nothing.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "course.h"
#include "script.h"
#include "worker/state/machine.h"
#include "worker_seen.h"

namespace dask::stories {

class WorkerStory : public Course<WorkerSeen> {
 private:
  // ---- events (worker_events.cc) ----
  Outcome set(const Line& line);
  Outcome event(const Line& line) override;
  Result<worker::Event> parse(const Line& line);
  Result<worker::ComputeTask> compute(const std::string& text);
  Result<std::vector<Key>> keys(const std::vector<std::string>& texts) const;
  // "x=a,b/100 y=c" as dependencies.
  Result<std::vector<worker::Dependency>> dependencies(const std::vector<std::string>& texts) const;

  // ---- expectations (worker_story.cc) ----
  const std::set<std::string>& kinds() const override;
  Outcome expect_seen(const std::string& kind, const Line& line) override;
  Outcome expect_fact(const std::string& what, const Line& line) override;
  Result<std::string> fact(const std::string& what, const std::string& about);

  worker::Machine& machine();

  worker::Settings settings_;
  std::unique_ptr<worker::Machine> machine_;
  std::map<std::string, std::int64_t> runs_;  // str(key) -> run id of the last Execute
  double now_ = 0;
  std::uint64_t handles_ = 0;
};

}  // namespace dask::stories
