// Addresses of this machine, as Dask finds them. Internal to core/net and the programs' start-up code.
#pragma once

#include <cstdint>
#include <string>

namespace dask::net {

// The address that other machines reach this one by: that of the route to the outside (distributed.utils.get_ip).
// 127.0.0.1 when there is no such route. Sends nothing.
std::string outward_ip();

// The address of ours that `host` (a name or an IP address) reaches us by: that of the route to it. outward_ip() when there is none.
std::string ip_towards(const std::string& host);

// "host:port", ":port", "port", "host", with or without a scheme -> the parts that were given; false when the port is none.
bool split_host_port(const std::string& text, std::string& host, std::uint16_t& port);

// The IPv4 address of a network interface; empty when it has none. `names` gets the interfaces that have one.
std::string address_of_interface(const std::string& interface, std::string& names);

}  // namespace dask::net
