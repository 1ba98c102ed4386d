// The one message with which a child of LocalCluster says that it is there, or why not.
#pragma once

#include "core/base/value.h"

namespace dask::client {

// Sends it over the inherited socket and closes that. {"address": …} or {"error": …}.
void report_to_parent(int socket, const Value& report);

}  // namespace dask::client
