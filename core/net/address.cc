// Dask's address notation, and this machine's outward address. Source: distributed/comm/addressing.py, distributed/utils.py.
#include "core/net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>

#include "core/net/comm.h"

namespace dask::net {

std::string Address::str() const {
  if (host.find(':') != std::string::npos) return fmt::format("{}://[{}]:{}", scheme, host, port);
  return fmt::format("{}://{}:{}", scheme, host, port);
}

Result<Address> parse_address(std::string_view text) {
  Address address;
  auto wrong = [text](std::string_view why) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("address '{:.200}': {}; use scheme://host:port, for example tcp://10.0.0.1:8786", text, why));
  };
  std::string_view rest = text;
  if (auto separator = rest.rfind("://"); separator != std::string_view::npos) {
    address.scheme = rest.substr(0, separator);
    rest.remove_prefix(separator + 3);
    if (address.scheme.empty()) return wrong("the scheme is empty");
  }
  std::string_view port_text;
  bool has_port = false;
  if (!rest.empty() && rest.front() == '[') {
    auto close = rest.find(']');
    if (close == std::string_view::npos) return wrong("'[' without ']'");
    address.host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (!rest.empty() && rest.front() != ':') return wrong("':' and a port must follow ']'");
    has_port = !rest.empty();
    if (has_port) port_text = rest.substr(1);
  } else {
    auto colon = rest.rfind(':');
    has_port = colon != std::string_view::npos;
    address.host = rest.substr(0, colon);
    if (has_port) port_text = rest.substr(colon + 1);
    if (address.host.find(':') != std::string::npos) return wrong("an IPv6 host needs brackets, as in tcp://[::1]:8786");
  }
  for (char c : address.host) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '/' || c == '@') return wrong("the host has a character that no host has");
  }
  if (has_port) {
    unsigned port = 0;
    auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (error != std::errc() || end != port_text.data() + port_text.size() || port > 65535)
      return wrong("the port is no number from 0 to 65535");
    address.port = static_cast<std::uint16_t>(port);
  }
  return address;
}

namespace {

// Our end of the route to `outside`; empty when there is none. A datagram socket's connect() sends nothing.
std::string route_source(const sockaddr* outside, socklen_t size) {
  const int fd = ::socket(outside->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return {};
  sockaddr_storage ours{};
  socklen_t ours_size = sizeof ours;
  char text[INET6_ADDRSTRLEN] = "";
  if (::connect(fd, outside, size) == 0 && ::getsockname(fd, reinterpret_cast<sockaddr*>(&ours), &ours_size) == 0) {
    if (ours.ss_family == AF_INET)
      ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in&>(ours).sin_addr, text, sizeof text);
    else
      ::inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6&>(ours).sin6_addr, text, sizeof text);
  }
  ::close(fd);
  return std::string_view(text) == "0.0.0.0" ? std::string() : text;
}

}  // namespace

std::string outward_ip() {
  sockaddr_in outside{};
  outside.sin_family = AF_INET;
  outside.sin_port = htons(80);
  ::inet_pton(AF_INET, "8.8.8.8", &outside.sin_addr);  // only the route to it is asked for
  const std::string ip = route_source(reinterpret_cast<sockaddr*>(&outside), sizeof outside);
  return ip.empty() ? "127.0.0.1" : ip;
}

std::string ip_towards(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  std::string ip;
  if (::getaddrinfo(host.empty() ? "127.0.0.1" : host.c_str(), "80", &hints, &found) == 0) {
    for (const addrinfo* one = found; one && ip.empty(); one = one->ai_next) ip = route_source(one->ai_addr, one->ai_addrlen);
    ::freeaddrinfo(found);
  }
  return ip.empty() ? outward_ip() : ip;
}

bool split_host_port(const std::string& text, std::string& host, std::uint16_t& port) {
  std::string rest = text;
  if (const std::size_t scheme = rest.find("://"); scheme != std::string::npos) rest = rest.substr(scheme + 3);
  const std::size_t colon = rest.rfind(':');
  std::string number = rest;
  if (colon != std::string::npos && rest.find(']', colon) == std::string::npos) {
    host = rest.substr(0, colon);
    number = rest.substr(colon + 1);
  } else if (rest.find_first_not_of("0123456789") != std::string::npos) {
    host = rest;
    return true;
  }
  if (number.empty()) return true;
  if (number.find_first_not_of("0123456789") != std::string::npos || number.size() > 5 || std::stoul(number) > 65535) return false;
  port = static_cast<std::uint16_t>(std::stoul(number));
  return true;
}

std::string address_of_interface(const std::string& interface, std::string& names) {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return {};
  std::string found;
  for (const ifaddrs* one = all; one; one = one->ifa_next) {
    if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr, text, sizeof text);
    if (found.empty() && interface == one->ifa_name) found = text;
    names += (names.empty() ? "" : ", ") + std::string(one->ifa_name);
  }
  freeifaddrs(all);
  return found;
}

}  // namespace dask::net
