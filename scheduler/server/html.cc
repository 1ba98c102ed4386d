#include "scheduler/server/html.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>

#include "core/base/python_text.h"

namespace dask::scheduler::html {

std::string escape(std::string_view text) {
  std::string out;
  for (char c : python::to_utf8(text)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string url_segment(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (char c : text) {
    if (kPlain.find(c) != std::string_view::npos)
      out += c;
    else
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string page(std::string_view title, std::string_view root, std::string_view body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>Dask: {0}</title>\n"
      "<style>:root{{color-scheme:light dark}}body{{font:14px system-ui,sans-serif;margin:1.5rem}}table{{border-collapse:collapse}}"
      "th,td{{padding:.25rem .75rem;text-align:left;border-bottom:1px solid #8884}}td.n{{text-align:right}}pre{{white-space:pre-wrap}}nav "
      "a{{margin-right:1rem}}</style>\n"
      "</head><body><nav><a href=\"{1}status\">Status</a><a href=\"{1}info/main/workers.html\">Workers</a><a "
      "href=\"{1}info/main/exceptions.html\">Exceptions</a>"
      "<a href=\"{1}info/main/logs.html\">Logs</a></nav>\n<h1>{0}</h1>\n{2}\n</body></html>\n",
      escape(title), root, body);
}

std::string row(std::string_view name, std::string_view value_html) {
  return fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", escape(name), value_html);
}

std::string bytes(double n) {
  constexpr std::pair<const char*, double> kUnits[] = {
      {"PiB", 1125899906842624.0}, {"TiB", 1099511627776.0}, {"GiB", 1073741824.0}, {"MiB", 1048576.0}, {"kiB", 1024.0}};
  for (const auto& [unit, size] : kUnits)
    if (n >= size * 0.9) return fmt::format("{:.2f} {}", n / size, unit);
  return fmt::format("{:.0f} B", n);
}

std::string seconds(double s) {
  if (s >= 1 || s == 0) return fmt::format("{:.2f} s", s);
  return s >= 1e-3 ? fmt::format("{:.2f} ms", s * 1e3) : fmt::format("{:.2f} us", s * 1e6);
}

std::string time(double seconds_since_1970) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(static_cast<std::time_t>(seconds_since_1970)));
}

}  // namespace dask::scheduler::html
