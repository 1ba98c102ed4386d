// HTML text for the /info pages. Everything that comes from users or workers goes through escape().
#pragma once

#include <string>
#include <string_view>

namespace dask::scheduler::html {

// Safe between tags and inside quoted attributes.
std::string escape(std::string_view text);
// Safe as one segment of a URL's path.
std::string url_segment(std::string_view text);
// A whole page. `root` leads from the page to the top: "../../".
std::string page(std::string_view title, std::string_view root, std::string_view body);
// A table row of two cells: an escaped name, and HTML.
std::string row(std::string_view name, std::string_view value_html);
std::string bytes(double n);                  // 1.50 GiB, as dask.utils.format_bytes
std::string seconds(double s);                // 1.50 s, 20 ms
std::string time(double seconds_since_1970);  // local time

}  // namespace dask::scheduler::html
