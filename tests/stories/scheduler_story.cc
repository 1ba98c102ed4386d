// The expectations of a story, and its course.
#include "scheduler_story.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dask::stories {

using namespace scheduler;

namespace {

const std::set<std::string> kActionKinds{"compute",         "free",          "remove-replica", "acquire", "refresh",   "steal",   "close",
                                         "in-memory",       "lost",          "erred",          "retried", "cancelled", "warning", "error",
                                         "barrier-stopped", "shuffle-failed"};

}  // namespace

Machine& SchedulerStory::machine() {
  if (!machine_) machine_ = std::make_unique<Machine>(settings_);
  return *machine_;
}

const std::set<std::string>& SchedulerStory::kinds() const { return kActionKinds; }

bool SchedulerStory::is_aside(const Seen& s) const { return s.kind == "warning" || s.kind == "error"; }

SchedulerStory::Outcome SchedulerStory::expect_seen(const std::string& kind, const Line& line) {
  if (kind == "warning" || kind == "error") {
    const auto at = line.text.find(kind) + kind.size();
    return take(kind, line, "", "", "nothing", trim(std::string_view(line.text).substr(at)));
  }
  // KIND KEY on|for NAME [where D=W,W ...] [saying TEXT]
  std::string text = line.text, saying;
  if (const auto at = text.find(" saying "); at != text.npos) {
    saying = trim(std::string_view(text).substr(at + 8));
    text.resize(at);
  }
  std::vector<std::string> where;
  if (const auto at = text.find(" where "); at != text.npos) {
    where = words(std::string_view(text).substr(at + 7));
    text.resize(at);
  }
  const std::vector<std::string> tokens = words(text);
  if (kind == "barrier-stopped" || kind == "shuffle-failed") {
    if (tokens.size() != 3) return wrong("say: expect " + kind + " KEY");
    DASK_TRY(const Key barrier, parse_key(tokens[2]));
    return take(kind, line, barrier.str(), "any", "nothing", "");
  }
  const bool close = kind == "close";
  if (tokens.size() != (close ? 4u : 5u) || (tokens[tokens.size() - 2] != "on" && tokens[tokens.size() - 2] != "for"))
    return wrong("say: expect " + kind + (close ? "" : " KEY") + " on|for NAME [where KEY=WORKER,...] [saying TEXT]");
  DASK_TRY(std::vector<std::string> names, expand(close ? "" : tokens[2]));
  DASK_TRY(std::vector<std::string> targets, expand(tokens.back()));
  if (targets.size() == 1) targets.resize(names.size(), targets[0]);
  if (names.size() == 1) names.resize(targets.size(), names[0]);
  if (names.size() != targets.size()) return wrong("as many keys as targets, please");
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::string key;
    if (!close) {
      DASK_TRY(const Key parsed, parse_key(names[i]));
      key = parsed.str();
    }
    DASK_TRY_VOID(take(kind, line, key, targets[i], sorted_text(where), saying));
  }
  return {};
}

SchedulerStory::Outcome SchedulerStory::take(const std::string& kind, const Line&, const std::string& key, const std::string& target,
                                             const std::string& where, const std::string& text) {
  const auto sorted_where = [](const Seen& s) { return sorted_text(words(s.where)); };
  for (Seen& s : seen_) {
    if (s.consumed || s.kind != kind) continue;
    const bool fits = s.key == key && (target == "any" || s.target == target) && (where == "nothing" || sorted_where(s) == where) &&
                      s.text.find(text) != s.text.npos;
    if (fits) {
      s.consumed = true;
      return {};
    }
    if (kind == "compute") break;  // these are expected in the order in which they are sent
  }
  return wrong("what is left of this event:" + what_is_left());
}

SchedulerStory::Outcome SchedulerStory::expect_fact(const std::string& what, const Line& line) {
  const auto equals = std::find(line.tokens.begin(), line.tokens.end(), "=");
  if (equals == line.tokens.end()) return wrong("no such expectation; facts are written: expect " + what + " ... = VALUE");
  std::vector<std::string> about(line.tokens.begin() + 2, equals), values;
  for (auto it = equals + 1; it != line.tokens.end(); ++it) {
    DASK_TRY(const std::vector<std::string> expanded, expand(*it));
    values.insert(values.end(), expanded.begin(), expanded.end());
  }
  if (values == std::vector<std::string>{"nothing"}) values.clear();
  std::vector<std::vector<std::string>> questions{about};
  if (what == "state") {  // of several keys at once
    questions.clear();
    for (const std::string& text : about) {
      DASK_TRY(const std::vector<std::string> expanded, expand(text));
      for (const std::string& key : expanded) questions.push_back({key});
    }
  }
  for (const auto& question : questions) {
    DASK_TRY(const std::string is, fact(what, question));
    const std::string should = sorted_text(values);
    if (is != should) return wrong(fmt::format("{} is {}, not {}", fmt::join(question, " "), is, should));
  }
  return {};
}

// The value of a fact as text; lists sorted, an empty one is "nothing".
Result<std::string> SchedulerStory::fact(const std::string& what, const std::vector<std::string>& about) {
  const State& state = machine().state();
  const auto keys_of = [&](const auto& slots) {
    std::vector<std::string> texts;
    for (std::uint32_t slot : slots) texts.push_back(state.task(slot).key.str());
    return sorted_text(std::move(texts));
  };
  if (what == "queue") {
    std::vector<std::string> texts;
    state.for_each_task([&](const Task& ts) {
      if (ts.state == TaskState::kQueued) texts.push_back(ts.key.str());
    });
    return sorted_text(std::move(texts));
  }
  if (what == "tasks") return std::to_string(state.task_count());
  if (about.empty()) return wrong(what + " of what?");
  if (what == "target") {
    DASK_TRY(const double seconds, parse_number(about[0]));
    return std::to_string(machine().adaptive_target(seconds));
  }
  if (what == "processing" || what == "has" || what == "long-running") {
    DASK_TRY(const WorkerId id, worker(about[0]));
    const Worker& ws = state.worker(id);
    if (what == "long-running") return std::to_string(ws.long_running);
    return keys_of(what == "has" ? ws.has_what : ws.processing);
  }
  if (what == "wants") {
    DASK_TRY(const ClientId id, client(about[0]));
    return keys_of(state.client(id).wants_what);
  }
  DASK_TRY(const Key key, parse_key(about[0]));
  const Task* ts = state.find(key.msgpack());
  if (what == "state") return std::string(name_of(ts ? ts->state : TaskState::kForgotten));
  if (!ts) return wrong("there is no task " + key.repr());
  if (what == "suspicious") return std::to_string(ts->suspicious);
  if (what == "retries") return std::to_string(ts->retries);
  if (what == "key") return ts->key.repr();
  if (what == "nbytes") return std::to_string(ts->nbytes);
  if (what == "holders") {
    std::vector<std::string> texts;
    for (const Holder& holder : ts->who_has) texts.push_back(worker_names_.at(holder.worker));
    return sorted_text(std::move(texts));
  }
  return wrong("no such expectation: " + what);
}

}  // namespace dask::stories
