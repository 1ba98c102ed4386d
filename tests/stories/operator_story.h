// Runs one story of the operator: users, kubelets and the scheduler act on a model API server, the plan sees it through perfect caches, and
// the model carries out what the plan wants. README.md describes the language.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "course.h"
#include "operator_seen.h"
#include "script.h"
#include "tests/operator_model/cluster.h"

namespace dask::stories {

class OperatorStory : public Course<OperatorSeen> {
 private:
  // ---- events (operator_events.cc) ----
  Outcome event(const Line& line) override;
  Outcome happen(const Line& line);
  Outcome write(const std::string& verb, const Line& line);
  Outcome kubelet(const std::string& verb, const Line& line);
  Outcome scheduler(const std::string& verb, const Line& line);
  void plan();
  // The Deployment or Pod that a story's name stands for: "demo-default/0" is the first worker's.
  std::string full_name(const std::string& name) const;
  std::string short_name(std::string_view name) const;

  // ---- expectations (operator_story.cc) ----
  const std::set<std::string>& kinds() const override;
  bool is_aside(const OperatorSeen& seen) const override { return seen.kind == "again" || seen.kind == "event"; }
  Outcome expect_seen(const std::string& kind, const Line& line) override;
  Outcome expect_fact(const std::string& what, const Line& line) override;
  Result<std::string> fact(const std::string& what, const std::vector<std::string>& about);

  operator_model::ApiServer api_{"ns"};
  kube::Settings settings_;
  kube::SchedulerView view_;
  std::map<std::string, kube::SchedulerWorker> workers_;  // by the story's name: what the scheduler will say when it is asked
  std::vector<kube::Refusal> refusals_;
  std::string cluster_ = "demo";
  kube::TimeMs start_ms_ = api_.now_ms;
};

}  // namespace dask::stories
