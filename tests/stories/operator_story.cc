// The expectations of an operator's story.
#include "operator_story.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace dask::stories {

using namespace operator_model;

namespace {

const std::set<std::string> kActionKinds{"create", "apply", "patch", "status", "delete", "event", "poll", "ask", "again"};

}  // namespace

const std::set<std::string>& OperatorStory::kinds() const { return kActionKinds; }

// "expect apply Deployment demo-default/{0..1} saying replicas": in any order within one event, each once.
OperatorStory::Outcome OperatorStory::expect_seen(const std::string& kind, const Line& line) {
  std::string text = line.text, said;
  if (const auto at = text.find(" saying "); at != text.npos) {
    said = trim(std::string_view(text).substr(at + 8));
    text.resize(at);
  }
  std::vector<std::string> rest = words(text);
  rest.erase(rest.begin(), rest.begin() + 2);
  std::string what;
  if (kind != "poll" && kind != "ask" && kind != "again") {
    if (rest.empty()) return wrong("expect " + kind + " WHAT NAME");
    what = rest.front();
    rest.erase(rest.begin());
  }
  std::vector<std::string> names;
  for (const std::string& word : rest) {
    DASK_TRY(const auto expanded, expand(word));
    names.insert(names.end(), expanded.begin(), expanded.end());
  }
  if (names.empty()) names.push_back("");
  for (const std::string& name : names) {
    auto found = std::find_if(seen_.begin(), seen_.end(), [&](const OperatorSeen& s) {
      return !s.consumed && s.kind == kind && s.what == what && (name.empty() || s.name == name) && s.text.find(said) != std::string::npos;
    });
    if (found == seen_.end()) return wrong("what is left of this event:" + what_is_left());
    found->consumed = true;
  }
  return {};
}

OperatorStory::Outcome OperatorStory::expect_fact(const std::string& what, const Line& line) {
  const auto equals = std::find(line.tokens.begin(), line.tokens.end(), "=");
  if (equals == line.tokens.end()) return wrong("no such expectation; facts are written: expect " + what + " ... = VALUE");
  const std::string should = fmt::format("{}", fmt::join(equals + 1, line.tokens.end(), " "));
  DASK_TRY(const std::string is, fact(what, std::vector<std::string>(line.tokens.begin() + 2, equals)));
  if (is != should) return wrong(fmt::format("{} is {}, not {}", what, is, should));
  return {};
}

Result<std::string> OperatorStory::fact(const std::string& what, const std::vector<std::string>& about) {
  const auto object = [&](const std::string& kind_name, const std::string& name) -> const Value* {
    for (const Kind kind : kKinds)
      if (name_of(kind) == kind_name) return api_.find(kind, full_name(name));
    return nullptr;
  };
  if (what == "workers" && about.size() == 1) {  // of a group, as the API server has them
    std::vector<std::string> names;
    for (const Kind kind : {Kind::kDeployment, Kind::kPod})
      for (const ObjectKey& key : api_.keys(kind))
        if (const std::string name = short_name(key.second); name.starts_with(about[0] + "/"))
          names.push_back(name.substr(about[0].size() + 1));
    return sorted_text(std::move(names));
  }
  if (what == "phase" && about.size() == 1) {
    const Value* found = object("DaskCluster", about[0]);
    return std::string(found ? operator_model::at(*found, {"status", "phase"}).as_string() : "gone");
  }
  if (what == "condition" && about.size() == 3) {
    const Value* found = object(about[0], about[1]);
    if (!found) return std::string("gone");
    const auto conditions = parse_conditions((*found)["status"]);
    const Condition* condition = find_condition(conditions, about[2]);
    return condition ? fmt::format("{} {}", condition->status ? "True" : "False", condition->reason) : std::string("absent");
  }
  if (what == "field" && about.size() == 3) {  // a path with dots; a field whose name has dots comes last, after a slash
    const Value* found = object(about[0], about[1]);
    if (!found) return std::string("gone");
    const auto slash = about[2].find('/');
    for (const std::string& part : split(about[2].substr(0, slash), '.')) {
      const auto index = parse_number(part);
      if (const Value::Array* items = found->array_if(); items && index && *index < static_cast<double>(items->size()))
        found = &(*items)[static_cast<std::size_t>(*index)];
      else
        found = &(*found)[part];
    }
    if (slash != std::string::npos) found = &(*found)[about[2].substr(slash + 1)];
    if (found->is_nil()) return std::string("absent");
    return found->is_string() ? std::string(found->as_string()) : to_json(*found);
  }
  return wrong("no such fact: " + what);
}

}  // namespace dask::stories
