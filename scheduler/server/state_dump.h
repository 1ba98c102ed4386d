// The scheduler's state as Dask's dumps have it (Scheduler._to_dict): plain values in which an object inside another one is
// Python's repr of it, <TaskState 'x' memory>. Read by Client.dump_cluster_state and by tools that look into a dump.
// Thread ownership: the loop's thread.
#pragma once

#include <set>
#include <string>

#include "core/base/value.h"

namespace dask::scheduler {

class Server;

// `exclude` names what to leave out, at the top and in every task, worker, group and client, as in Dask. O(state).
Value dump_state(Server& server, const std::set<std::string, std::less<>>& exclude);

}  // namespace dask::scheduler
