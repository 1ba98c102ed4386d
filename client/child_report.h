// What the children of LocalCluster have in common: the one message with which one says
// that it is there, or why not, and how much it logs.
#pragma once

#include "core/base/value.h"
#include "core/runtime/config.h"

namespace dask::client {

// Sends it over the inherited socket and closes that. {"address": …} or {"error": …}.
void report_to_parent(int socket, const Value& report);

// Only warnings are logged unless the configuration says otherwise, as Dask's LocalCluster does.
// True when it has changed that.
bool be_quiet(Config& config);

}  // namespace dask::client
