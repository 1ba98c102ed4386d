// Copies and deletes results on workers by request, as replicate and rebalance do. (The machine's own way, for retirement
// and the active memory manager, is acquire-replicas and remove-replicas.)
// Thread ownership: the loop's thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/key.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {

// Operations that must not overlap: two that each delete "the other" copy would lose a result.
class Turns {
 public:
  // `operation` starts when those before it have ended, and calls what it is given when it has.
  void run(std::function<void(std::function<void()> done)> operation);

 private:
  void next();
  std::deque<std::function<void(std::function<void()>)>> waiting_;
  bool busy_ = false;
};

// Per recipient: the results to fetch, each with the addresses that have it.
using Gathers = std::map<WorkerId, std::vector<std::pair<Key, std::vector<std::string>>>>;
// Per recipient: what it could not get.
using FailedGathers = std::map<WorkerId, std::vector<Key>>;
void gather_on_workers(Server& server, const Gathers& gathers, std::function<void(FailedGathers)> done);
void delete_on_workers(Server& server, const std::map<WorkerId, std::vector<Key>>& keys, const std::string& stimulus_id,
                       std::function<void()> done);

}  // namespace dask::scheduler
