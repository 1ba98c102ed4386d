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

}  // namespace

Machine& WorkerStory::machine() {
  if (!machine_) {
    settings_.address = address_of("self");
    machine_ = std::make_unique<Machine>(settings_);
  }
  return *machine_;
}

const std::set<std::string>& WorkerStory::kinds() const { return kInstructionKinds; }

WorkerStory::Outcome WorkerStory::expect_seen(const std::string& kind, const Line& line) {
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
      return wrong("what is left of this event:" + what_is_left());
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
