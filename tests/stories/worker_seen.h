// What a worker's machine said, as the words that stories use: one Seen per instruction.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/state/machine.h"

namespace dask::stories {

struct WorkerSeen {
  std::string
      kind;  // gather, execute, later, drop, refuse, close, warning, finished, erred, release, add, long-running, reschedule, ask, stolen
  std::vector<std::string> keys;  // Python's str(key)
  std::string peer;               // gather, later: its name in the story
  std::string text;               // stolen: the state; erred, close, warning, refuse: the words; finished: native, actor or nothing
  std::int64_t run_id = -1;       // finished, execute, long-running
  bool consumed = false;

  // "gather x y from b", "stolen x: ready".
  std::string str() const;
};

std::vector<WorkerSeen> render(const worker::Instructions& instructions);

// A peer's name in a story and its address: b is tcp://b:1, b.2 is tcp://b:2 on the same host; self is the worker.
std::string address_of(std::string_view name);
std::string name_of_peer(std::string_view address);

}  // namespace dask::stories
