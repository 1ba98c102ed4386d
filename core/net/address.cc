// Dask's address notation, and this machine's outward address. Source: distributed/comm/addressing.py, distributed/utils.py.
#include "core/net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
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

std::string outward_ip() {
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "127.0.0.1";
  sockaddr_in outside{};
  outside.sin_family = AF_INET;
  outside.sin_port = htons(80);
  ::inet_pton(AF_INET, "8.8.8.8", &outside.sin_addr);  // only the route to it is asked for
  sockaddr_in ours{};
  socklen_t size = sizeof ours;
  char text[INET_ADDRSTRLEN] = "127.0.0.1";
  if (::connect(fd, reinterpret_cast<sockaddr*>(&outside), sizeof outside) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&ours), &size) == 0 && ours.sin_addr.s_addr != 0) {
    ::inet_ntop(AF_INET, &ours.sin_addr, text, sizeof text);
  }
  ::close(fd);
  return text;
}

}  // namespace dask::net
