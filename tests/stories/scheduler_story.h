// Runs one story of the scheduler: its events go into a Machine, its expectations are compared with what came out.
// README.md describes the language. After every event State::validate() must find nothing.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "course.h"
#include "scheduler/machine/machine.h"
#include "scheduler_seen.h"
#include "script.h"

namespace dask::stories {

class SchedulerStory : public Course<Seen> {
 private:
  // ---- events (scheduler_events.cc) ----
  Outcome event(const Line& line) override;
  Outcome set(const Line& line);
  Outcome add_worker(const Line& line);
  Outcome submit(const Line& line);
  Outcome finished(const Line& line);
  Outcome client_event(const Line& line);
  Outcome worker_event(const Line& line);
  Outcome specs(const Line& line);
  Outcome scatter(const Line& line);
  // First: the actions of the line's earlier events are gone.
  Outcome happen(scheduler::Event event, bool first = true);
  Result<Key> one_key(const Attributes& attributes, std::size_t index);
  Result<std::vector<Key>> keys(const std::vector<std::string>& texts);
  Result<WorkerId> worker(const std::string& name) const;
  Result<ClientId> client(const std::string& name) const;
  // The run id that was sent last for the key to the worker; `nth` (from 1): the nth that was sent for the key at all.
  std::int64_t run_id(const Key& key, const std::string& worker_name, const std::optional<std::string>& nth) const;

  // ---- expectations (scheduler_story.cc) ----
  const std::set<std::string>& kinds() const override;
  bool is_aside(const Seen& s) const override;
  Outcome expect_seen(const std::string& kind, const Line& line) override;
  Outcome expect_fact(const std::string& what, const Line& line) override;
  Outcome take(const std::string& kind, const Line& line, const std::string& key, const std::string& target, const std::string& where,
               const std::string& text);
  Result<std::string> fact(const std::string& what, const std::vector<std::string>& about);

  scheduler::Machine& machine();

  scheduler::Settings settings_;
  std::unique_ptr<scheduler::Machine> machine_;
  std::map<std::string, WorkerId> workers_;  // the newest with this name
  std::map<WorkerId, std::string> worker_names_;
  std::map<std::string, ClientId> clients_;
  std::map<std::string, std::vector<std::pair<std::string, std::int64_t>>> runs_;  // str(key) -> (worker, run id)
  std::map<std::string, std::string> steals_;                                      // str(key) -> stimulus id of the last request
  double now_ = 1;
  std::uint64_t graphs_ = 0;
  std::map<std::string, std::pair<std::uint64_t, std::uint32_t>> late_;  // str(key) -> (graph, column) of run specs that have not arrived
};

}  // namespace dask::stories
