// Pictures of graphs: Graphviz text always; svg, png and pdf through Graphviz's `dot` when it is installed; without it an svg of our own,
// in layers by depth, which is readable for graphs of some hundred nodes.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "client/flat_graph.h"
#include "core/runtime/process.h"
#include "dask/graph.h"

namespace dask {
namespace client {
namespace {

std::string escaped(std::string_view text, bool xml) {
  std::string out;
  for (const char c : text) {
    if (xml && c == '<') {
      out += "&lt;";
    } else if (xml && c == '>') {
      out += "&gt;";
    } else if (xml && c == '&') {
      out += "&amp;";
    } else if (c == '"') {
      out += xml ? "&quot;" : "\\\"";
    } else if (!xml && c == '\\') {
      out += "\\\\";
    } else {
      out += c;
    }
  }
  return out;
}

// "inc" of "inc-2b7e…": what stands in the picture.
std::string label(const Node& node) {
  if (node.function) return node.function->short_name();
  return node.key.substr(0, node.key.rfind('-'));
}

std::string dot_text(const FlatGraph& graph, const graph::VisualizeOptions& options) {
  std::string out = "digraph dask {\n  node [fontname=\"helvetica\"];\n";
  out += fmt::format("  rankdir={};\n", options.left_to_right ? "LR" : "BT");
  for (std::uint32_t i = 0; i < graph.size(); ++i)
    out += fmt::format("  n{} [label=\"{}\", shape={}];\n", i, escaped(label(*graph.nodes[i]), false),
                       graph.nodes[i]->function ? "circle" : "box");
  for (std::uint32_t i = 0; i < graph.size(); ++i)
    for (const std::uint32_t input : graph.dependencies_of(i)) out += fmt::format("  n{} -> n{};\n", input, i);
  return out + "}\n";
}

std::string svg_text(const FlatGraph& graph, const graph::VisualizeOptions& options) {
  constexpr double kColumn = 110, kRow = 80, kRadius = 26, kMargin = 50;
  // A node stands one layer above its highest input, in its layer in the graph's order.
  std::vector<std::size_t> layer(graph.size(), 0), place(graph.size(), 0), width;
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    for (const std::uint32_t input : graph.dependencies_of(i)) layer[i] = std::max(layer[i], layer[input] + 1);
    width.resize(std::max(width.size(), layer[i] + 1));
    place[i] = width[layer[i]]++;
  }
  const std::size_t widest = width.empty() ? 1 : *std::max_element(width.begin(), width.end());
  struct Point {
    double x, y;
  };
  const auto at = [&](std::uint32_t i) {
    const double across = kMargin + kColumn * (static_cast<double>(place[i]) + 0.5 * static_cast<double>(widest - width[layer[i]]));
    const double along = kMargin + kRow * static_cast<double>(options.left_to_right ? layer[i] : width.size() - 1 - layer[i]);
    return options.left_to_right ? Point{along * kColumn / kRow, across} : Point{across, along};
  };
  const double across = 2 * kMargin + kColumn * static_cast<double>(widest - 1),
               along = 2 * kMargin + kRow * static_cast<double>(width.empty() ? 0 : width.size() - 1);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "font-family=\"Helvetica, sans-serif\" "
      "font-size=\"11\" text-anchor=\"middle\">\n"
      "<defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"10\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path "
      "d=\"M0 0L10 5L0 10z\"/></marker></defs>\n",
      options.left_to_right ? along * kColumn / kRow : across, options.left_to_right ? across : along);
  for (std::uint32_t i = 0; i < graph.size(); ++i)
    for (const std::uint32_t input : graph.dependencies_of(i)) {
      const Point from = at(input), to = at(i);
      const double length = std::max(1.0, std::hypot(to.x - from.x, to.y - from.y)), shorter = kRadius / length;
      out += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"black\" marker-end=\"url(#arrow)\"/>\n",
                         from.x + (to.x - from.x) * shorter, from.y + (to.y - from.y) * shorter, to.x - (to.x - from.x) * shorter,
                         to.y - (to.y - from.y) * shorter);
    }
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    const Point p = at(i);
    const Node& node = *graph.nodes[i];
    if (node.function)
      out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"white\" stroke=\"black\"/>\n", p.x, p.y, kRadius);
    else
      out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" fill=\"white\" stroke=\"black\"/>\n", p.x - kRadius,
                         p.y - 15, 2 * kRadius, 30);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}<title>{}</title></text>\n", p.x, p.y + 4, escaped(label(node), true),
                       escaped(node.key, true));
  }
  return out + "</svg>\n";
}

void write_file(const std::string& filename, const std::string& text) {
  std::ofstream file(filename, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error("visualize: cannot write " + filename);
}

// False when Graphviz is not installed.
bool run_dot(const std::string& format, const std::string& dot, const std::string& filename) {
  std::string temporary = filename + ".XXXXXX.dot";
  const int fd = mkstemps(temporary.data(), 4);
  if (fd < 0) throw std::runtime_error("visualize: cannot write beside " + filename);
  ::close(fd);
  write_file(temporary, dot);
  auto child = ChildProcess::start({.argv = {"dot", "-T" + format, "-o", filename, temporary}});
  const bool good = child && child->wait().ok();
  unlink(temporary.c_str());
  return good;
}

}  // namespace
}  // namespace client

namespace graph {

std::string visualize(std::span<const NodePtr> wanted, const std::string& filename, const VisualizeOptions& options) {
  const client::FlatGraph flat = client::flatten(wanted);
  const std::size_t point = filename.rfind('.');
  const std::string format = point == std::string::npos ? "" : filename.substr(point + 1);
  const std::string dot = client::dot_text(flat, options);
  if (format == "dot") {
    client::write_file(filename, dot);
  } else if (format == "svg") {
    if (!client::run_dot(format, dot, filename)) client::write_file(filename, client::svg_text(flat, options));
  } else if (format == "png" || format == "pdf") {
    if (!client::run_dot(format, dot, filename))
      throw std::runtime_error("visualize: " + format +
                               " needs Graphviz's program dot, which is not installed (or failed): choose .svg or .dot");
  } else {
    throw std::invalid_argument("visualize: " + filename + " ends with none of .svg, .dot, .png, .pdf");
  }
  return filename;
}

}  // namespace graph
}  // namespace dask
