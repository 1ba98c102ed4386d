// What an operator's plan wants done, as the words that stories use: one Seen per action.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "operator/plan/plan.h"

namespace dask::stories {

struct OperatorSeen {
  std::string kind;  // create, apply, patch, status, delete, event, poll, ask, again
  std::string what;  // Deployment, Service, ...; event: its reason
  std::string name;  // a worker is named {group}/{ordinal}
  std::string text;  // the body as JSON; event: its message; ask: quiet or not; again: seconds
  bool consumed = false;

  // "apply Deployment demo-scheduler".
  std::string str() const;
};

// `short_name` gives a worker's name in the story.
std::vector<OperatorSeen> render(const kube::Actions& actions, const std::function<std::string(std::string_view)>& short_name);

}  // namespace dask::stories
