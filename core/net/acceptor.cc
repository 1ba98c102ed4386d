// bind and listen, with messages that a user can act on.
#include "core/net/acceptor.h"

#include <fmt/format.h>

#include <boost/asio/ip/v6_only.hpp>

namespace dask::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

Error listen_error(const Address& address, const error_code& error, std::string_view remedy) {
  std::string where = fmt::format("port {} on {}", address.port, address.host.empty() ? "all interfaces" : address.host);
  if (error == asio::error::address_in_use) {
    return {ErrorCode::kUnavailable, fmt::format("{} is in use; stop the other program or {}", where, remedy)};
  }
  if (error == asio::error::access_denied) {
    return {ErrorCode::kUnavailable, fmt::format("{} may not be used by this user; pass a port above 1023", where)};
  }
  if (error == error_code(EADDRNOTAVAIL, boost::system::system_category())) {
    return {ErrorCode::kInvalidArgument,
            fmt::format("{} is no address of this machine; pass one that it has, or none for all", address.host)};
  }
  return {ErrorCode::kUnavailable, fmt::format("cannot listen at {}: {}", address.str(), error.message())};
}

error_code open(tcp::acceptor& acceptor, const tcp::endpoint& endpoint, bool dual_stack, int backlog) {
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.protocol() == tcp::v6()) acceptor.set_option(asio::ip::v6_only(!dual_stack), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(backlog, error);
  if (error) {
    error_code ignored;
    acceptor.close(ignored);
  }
  return error;
}

}  // namespace

Result<tcp::acceptor> open_acceptor(asio::io_context& context, const Address& address, int backlog, std::string_view remedy) {
  tcp::acceptor acceptor(context);
  error_code error;
  if (address.host.empty()) {
    error = open(acceptor, tcp::endpoint(tcp::v6(), address.port), true, backlog);
    if (error && error != asio::error::address_in_use) {  // no IPv6 here
      error = open(acceptor, tcp::endpoint(tcp::v4(), address.port), false, backlog);
    }
  } else {
    auto host = asio::ip::make_address(address.host, error);
    if (error) {
      tcp::resolver resolver(context);
      auto results = resolver.resolve(address.host, std::to_string(address.port), tcp::resolver::numeric_service, error);
      if (error || results.empty()) {
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("cannot listen at {}: the name '{}' has no address ({})", address.str(), address.host, error.message()));
      }
      host = results.begin()->endpoint().address();
      for (const auto& entry : results) {
        if (entry.endpoint().address().is_v4()) host = entry.endpoint().address();
      }
    }
    error = open(acceptor, tcp::endpoint(host, address.port), false, backlog);
  }
  if (error) return fail(listen_error(address, error, remedy));
  return acceptor;
}

bool is_shortage(const error_code& error) {
  return error == asio::error::no_descriptors || error == error_code(ENFILE, boost::system::system_category()) ||
         error == asio::error::no_buffer_space || error == asio::error::no_memory;
}

}  // namespace dask::net
