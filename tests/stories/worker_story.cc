// The expectations of a worker's story, and its course.
#include "worker_story.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace dask::stories {

using namespace worker;

namespace {

const std::set<std::string> kInstructionKinds{"gather", "execute", "later", "drop",         "refuse",     "close", "warning", "finished",
                                              "erred",  "release", "add",   "long-running", "reschedule", "ask",   "stolen"};

tl::unexpected<Error> wrong(std::string text) { return fail(ErrorCode::kInvalidArgument, std::move(text)); }

std::string sorted_text(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  return texts.empty() ? "nothing" : fmt::format("{}", fmt::join(texts, " "));
}

std::string list(const std::vector<WorkerSeen>& seen) {
  std::string text;
  for (const WorkerSeen& s : seen)
    if (!s.consumed) text += "\n    " + s.str();
  return text.empty() ? " nothing" : text;
}

}  // namespace

Machine& WorkerStory::machine() {
  if (!machine_) {
    settings_.address = address_of("self");
    machine_ = std::make_unique<Machine>(settings_);
  }
  return *machine_;
}

std::string WorkerStory::run(const std::string& script) {
  const std::vector<Line> lines = read_lines(script);
  for (const Line& line : lines)
    if (line.tokens[0] == "expect" && line.tokens.size() > 1) {
      const std::string& kind = line.tokens[1] == "no" && line.tokens.size() > 2 ? line.tokens[2] : line.tokens[1];
      if (kInstructionKinds.contains(kind)) kinds_.insert(kind);
    }
  for (const Line& line : lines)
    if (auto outcome = step(line); !outcome) return fmt::format("{}: {}\n  {}", line.number, line.text, outcome.error().message);
  const int last = lines.empty() ? 1 : lines.back().number;
  if (auto outcome = nothing_left_over(); !outcome) return fmt::format("{}: {}", last, outcome.error().message);
  if (!expected_anything_) return fmt::format("{}: the story expects nothing: it cannot fail", last);
  return {};
}

WorkerStory::Outcome WorkerStory::step(const Line& line) {
  if (line.tokens[0] == "expect") return expect(line);
  if (auto outcome = nothing_left_over(); !outcome) return wrong("before this line: " + outcome.error().message);
  return event(line);
}

WorkerStory::Outcome WorkerStory::nothing_left_over() {
  for (const WorkerSeen& s : seen_)
    if (!s.consumed && kinds_.contains(s.kind)) return wrong("nobody expected: " + s.str());
  return {};
}

WorkerStory::Outcome WorkerStory::expect(const Line& line) {
  if (line.tokens.size() < 2) return wrong("expect what?");
  expected_anything_ = true;
  const std::string& what = line.tokens[1];
  if (what == "nothing") {
    for (const WorkerSeen& s : seen_)
      if (!s.consumed) return wrong("there was:" + list(seen_));
    return {};
  }
  if (what == "no") {
    if (line.tokens.size() != 3 || !kInstructionKinds.contains(line.tokens[2])) return wrong("expect no KIND");
    for (const WorkerSeen& s : seen_)
      if (!s.consumed && s.kind == line.tokens[2]) return wrong("there was: " + s.str());
    return {};
  }
  return kInstructionKinds.contains(what) ? expect_instruction(what, line) : expect_fact(what, line);
}

// KIND [KEY...] [from PEER] [run=N] [saying TEXT]; instructions of one kind are expected in their order.
WorkerStory::Outcome WorkerStory::expect_instruction(const std::string& kind, const Line& line) {
  std::string text = line.text, saying;
  if (const auto at = text.find(" saying "); at != text.npos) {
    saying = trim(std::string_view(text).substr(at + 8));
    text.resize(at);
  }
  Attributes attributes(words(text));
  std::vector<std::string> names(attributes.words().begin() + 2, attributes.words().end());
  std::string peer;
  if (names.size() >= 2 && names[names.size() - 2] == "from") {
    peer = names.back();
    names.resize(names.size() - 2);
  }
  const auto run_id = attributes.get("run");
  DASK_TRY(const std::vector<Key> parsed, keys(names));
  std::vector<std::string> wanted;
  for (const Key& key : parsed) wanted.push_back(key.str());
  // Of what concerns one key at a time, several keys are several instructions.
  const bool together = kind == "gather" || kind == "ask" || wanted.empty();
  std::vector<std::vector<std::string>> groups;
  if (together) groups.push_back(wanted);
  for (const std::string& key : wanted)
    if (!together) groups.push_back({key});

  for (const auto& group : groups) {
    auto next = std::find_if(seen_.begin(), seen_.end(), [&](const WorkerSeen& s) { return !s.consumed && s.kind == kind; });
    if (next == seen_.end() || (!group.empty() && sorted_text(next->keys) != sorted_text(group)) || (!peer.empty() && next->peer != peer) ||
        next->text.find(saying) == std::string::npos || (run_id && std::to_string(next->run_id) != *run_id))
      return wrong("what is left of this event:" + list(seen_));
    next->consumed = true;
  }
  return {};
}

WorkerStory::Outcome WorkerStory::expect_fact(const std::string& what, const Line& line) {
  const auto equals = std::find(line.tokens.begin(), line.tokens.end(), "=");
  if (equals == line.tokens.end()) return wrong("no such expectation; facts are written: expect " + what + " ... = VALUE");
  std::vector<std::string> values, about;
  for (auto it = equals + 1; it != line.tokens.end(); ++it) {
    DASK_TRY(const std::vector<std::string> expanded, expand(*it));
    values.insert(values.end(), expanded.begin(), expanded.end());
  }
  if (values == std::vector<std::string>{"nothing"}) values.clear();
  for (auto it = line.tokens.begin() + 2; it != equals; ++it) {
    DASK_TRY(const std::vector<std::string> expanded, expand(*it));
    about.insert(about.end(), expanded.begin(), expanded.end());
  }
  if (about.empty()) about.push_back("");
  for (const std::string& question : about) {
    DASK_TRY(const std::string is, fact(what, question));
    if (const std::string should = sorted_text(values); is != should)
      return wrong(fmt::format("{} {} is {}, not {}", what, question, is, should));
  }
  return {};
}

Result<std::string> WorkerStory::fact(const std::string& what, const std::string& about) {
  const Machine& m = machine();
  if (what == "tasks") return std::to_string(m.n_tasks());
  if (what == "nbytes") return std::to_string(m.nbytes());
  if (what == "incoming") return std::to_string(m.transfer_incoming_bytes());
  if (what == "transfers") return std::to_string(m.transfer_incoming_count());
  if (what == "running") return std::to_string(m.executing_count());
  if (what == "available") {
    const auto found = m.available_resources().find(about);
    return found == m.available_resources().end() ? "nothing" : fmt::format("{}", found->second);
  }
  DASK_TRY(const Key key, parse_key(about));
  const Task* ts = m.find(key);
  if (what == "state") return ts ? state_text(*ts) : "forgotten";
  if (what == "holders") {
    std::vector<std::string> names;
    if (ts)
      for (const Peer* peer : ts->who_has) names.push_back(name_of_peer(peer->address));
    return sorted_text(std::move(names));
  }
  return wrong("no such fact: " + what);
}

}  // namespace dask::stories
