// Opening a listening socket, for core/net's .cc files only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string_view>

#include "core/base/result.h"
#include "core/net/comm.h"

namespace dask::net {

// Binds and listens at host:port; an empty host means all interfaces, IPv6 and IPv4. kUnavailable when the port is in use;
// `remedy` ends that message: "choose another port".
Result<boost::asio::ip::tcp::acceptor> open_acceptor(boost::asio::io_context& context, const Address& address, int backlog,
                                                     std::string_view remedy);

// True for an accept() that failed because this machine is short of descriptors or memory: wait and try again.
bool is_shortage(const boost::system::error_code& error);

}  // namespace dask::net
