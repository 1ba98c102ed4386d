// The parts of HTTP that are only text: targets, percent-encoding, origins. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace dask::net {

// Splits "/a%20b?x=1&y" into a decoded path and query. False for what is no target.
bool parse_target(std::string_view target, std::string& path, std::map<std::string, std::string>& query);

// True when `origin` ("https://host:port") is the site that `host` ("host:port") names.
bool is_same_origin(std::string_view origin, std::string_view host);

}  // namespace dask::net
