// Addresses of this machine, as Dask finds them. Internal to core/net and the programs' start-up code.
#pragma once

#include <string>

namespace dask::net {

// The address that other machines reach this one by: that of the route to the outside (distributed.utils.get_ip).
// 127.0.0.1 when there is no such route. Sends nothing.
std::string outward_ip();

}  // namespace dask::net
