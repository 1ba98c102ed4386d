// Actions as words.
#include "operator_seen.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dask::stories {

using namespace kube;

namespace {

constexpr std::size_t kTextShown = 400;

struct Renderer {
  std::vector<OperatorSeen>& out;
  const std::function<std::string(std::string_view)>& short_name;

  void seen(const char* kind, const ObjectRef& object, std::string text) {
    out.push_back(OperatorSeen{kind, std::string(name_of(object.kind)), short_name(object.name), std::move(text)});
  }
  void operator()(const CreateObject& a) { seen("create", a.object, to_json(a.body)); }
  void operator()(const ApplyObject& a) { seen("apply", a.object, to_json(a.body)); }
  void operator()(const PatchObject& a) { seen("patch", a.object, to_json(a.body)); }
  void operator()(const PatchStatus& a) { seen("status", a.object, to_json(a.body["status"])); }
  void operator()(const DeleteObject& a) { seen("delete", a.object, a.why); }
  void operator()(const EmitEvent& a) { out.push_back(OperatorSeen{"event", a.reason, short_name(a.regarding.name), a.message}); }
  void operator()(const PollScheduler& a) { out.push_back(OperatorSeen{"poll", "", a.scheduler.cluster, a.scheduler.ip}); }
  void operator()(const AskSchedulerToRetire& a) {
    // Addresses of a story's workers are made of their names.
    const auto ask = [&](const std::string& address, const char* how) {
      const std::string name = address.substr(address.find("://") + 3);
      out.push_back(OperatorSeen{"ask", "", short_name(name.substr(0, name.rfind(':'))), how});
    };
    for (const std::string& address : a.addresses) ask(address, a.quiet ? "quiet" : "first");
    for (const std::string& address : a.also) ask(address, "too");
  }
  void operator()(const RequeueAfter& a) { out.push_back(OperatorSeen{"again", "", fmt::format("{}", a.delay_ms / 1000.0), ""}); }
};

}  // namespace

std::string OperatorSeen::str() const {
  std::string line = kind;
  for (const std::string& part : {what, name})
    if (!part.empty()) line += " " + part;
  if (!text.empty()) line += ": " + text.substr(0, kTextShown);
  return line;
}

std::vector<OperatorSeen> render(const Actions& actions, const std::function<std::string(std::string_view)>& short_name) {
  std::vector<OperatorSeen> out;
  for (const Action& action : actions) std::visit(Renderer{out, short_name}, action.what);
  return out;
}

}  // namespace dask::stories
