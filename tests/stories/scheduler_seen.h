// What a scheduler's machine did, as the words that stories use: one Seen per message and key.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "scheduler/machine/machine.h"

namespace dask::stories {

struct Seen {
  std::string
      kind;  // compute, free, remove-replica, acquire, refresh, steal, close, in-memory, lost, erred, retried, cancelled, warning, error
  std::string key;     // Python's str(key); empty for close, warning, error
  std::string target;  // worker's or client's name in the story
  std::string text;    // what else is said: reason of a cancel, message of a failure
  std::string where;   // holders of dependencies: "x=a,b y=c"
  std::int64_t run_id = -1;
  bool consumed = false;

  // "compute x on a", "erred x for c: boom".
  std::string str() const;
};

// `names` gives the story's names of workers; clients are named as they are.
std::vector<Seen> render(const scheduler::Machine& machine, const scheduler::Actions& actions,
                         const std::map<WorkerId, std::string>& names);

}  // namespace dask::stories
