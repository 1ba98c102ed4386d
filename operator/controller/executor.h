// Executor: carries out a plan's actions against the API server. Actions of one stage run at the same time, stages one after the other; the
// first failure ends it. What the API server answers goes into the caches, so that the next plan sees it.
// Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/controller/caches.h"
#include "operator/kube/client.h"
#include "operator/kube/event_recorder.h"
#include "operator/plan/actions.h"

namespace dask::kube {

class Schedulers;

struct Outcome {
  std::optional<KubeError> error;    // the first that failed
  std::string failed;                // what failed, for the log
  std::optional<TimeMs> requeue_ms;  // the plan wants to be asked again
  std::size_t writes = 0;            // that were sent
  std::vector<Refusal> refusals;     // what the API server did not take for what is in it
};

class Executor {
 public:
  Executor(net::Loop& loop, KubeClient& client, Caches& caches, EventRecorder& events, Schedulers& schedulers, std::string field_manager)
      : loop_(loop), client_(client), caches_(caches), events_(events), schedulers_(schedulers), field_manager_(std::move(field_manager)) {}

  // `about`: whom Events about failures regard. `done` is called exactly once, later.
  void run(Actions actions, ObjectRef about, std::function<void(Outcome)> done);
  // From now on nothing is sent any more (the leadership is lost): what is asked for ends with an error.
  void stop() { stopped_ = true; }

 private:
  struct Run;
  void next_stage(const std::shared_ptr<Run>& run);
  // Nothing when it needs no request.
  std::optional<KubeRequest> request_of(const ActionVariant& what) const;
  void answered(const std::shared_ptr<Run>& run, const Action& action, KubeReply reply);

  net::Loop& loop_;
  KubeClient& client_;
  Caches& caches_;
  EventRecorder& events_;
  Schedulers& schedulers_;
  std::string field_manager_;
  bool stopped_ = false;
};

}  // namespace dask::kube
