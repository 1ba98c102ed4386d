// The events of a worker's story.
#include <fmt/format.h>

#include "worker_story.h"

namespace dask::stories {

using namespace worker;

namespace {

FailurePtr saying(std::string text) { return std::make_shared<const Failure>(Failure{{}, {}, std::move(text), {}}); }

// Cuts " <word> ..." off the text and gives what follows the word; empty when it is not there.
std::string cut(std::string& text, std::string_view word) {
  const auto at = text.find(word);
  if (at == text.npos) return {};
  std::string rest = trim(std::string_view(text).substr(at + word.size()));
  text.resize(at);
  return rest;
}

}  // namespace

WorkerStory::Outcome WorkerStory::set(const Line& line) {
  if (line.tokens.size() != 3) return wrong("say: set NAME VALUE");
  if (machine_) return wrong("settings come before the first event");
  const std::string& name = line.tokens[1];
  if (name == "resources") {
    for (const std::string& resource : split(line.tokens[2], ',')) {
      const auto colon = resource.find(':');
      DASK_TRY(const double quantity, parse_number(std::string_view(resource).substr(colon + 1)));
      settings_.resources[resource.substr(0, colon)] = quantity;
    }
    return {};
  }
  DASK_TRY(const std::int64_t value, parse_bytes(line.tokens[2]));
  if (name == "nthreads") {
    settings_.nthreads = static_cast<std::uint32_t>(value);
  } else if (name == "transfer-count-limit") {
    settings_.transfer_incoming_count_limit = value;
    settings_.transfer_incoming_bytes_throttle_threshold = 0;
  } else if (name == "transfer-bytes-limit") {
    settings_.transfer_incoming_bytes_limit = value;
  } else if (name == "transfer-message-bytes-limit") {
    settings_.transfer_message_bytes_limit = value;
  } else {
    return wrong("no such setting: " + name);
  }
  return {};
}

Result<std::vector<Key>> WorkerStory::keys(const std::vector<std::string>& texts) const {
  std::vector<Key> out;
  for (const std::string& text : texts) {
    DASK_TRY(const std::vector<std::string> expanded, expand(text));
    for (const std::string& name : expanded) {
      DASK_TRY(Key key, parse_key(name));
      out.push_back(std::move(key));
    }
  }
  return out;
}

Result<std::vector<Dependency>> WorkerStory::dependencies(const std::vector<std::string>& texts) const {
  std::vector<Dependency> out;
  for (const std::string& text : texts) {
    DASK_TRY(const std::vector<std::string> expanded, expand(text));
    for (const std::string& entry : expanded) {
      const auto equals = entry.find('='), slash = entry.find('/');
      if (equals == entry.npos) return wrong("say where it is: KEY=PEER,PEER[/SIZE], or KEY= for nowhere");
      Dependency& dependency = out.emplace_back();
      DASK_TRY(dependency.key, parse_key(entry.substr(0, equals)));
      dependency.nbytes = 1;
      if (slash != entry.npos) {
        DASK_TRY(dependency.nbytes, parse_bytes(std::string_view(entry).substr(slash + 1)));
      }
      for (const std::string& peer : split(std::string_view(entry).substr(equals + 1, slash - equals - 1), ','))
        if (!peer.empty()) dependency.who_has.push_back(address_of(peer));
    }
  }
  return out;
}

// KEY [run=1] [priority=0,1] [resources=R:1] [native] [actor] [where KEY=PEER,...]
Result<ComputeTask> WorkerStory::compute(const std::string& line) {
  std::string text = line;
  ComputeTask e;
  DASK_TRY(e.dependencies, dependencies(words(cut(text, " where "))));
  Attributes attributes(words(text));
  const bool native = attributes.take("native");
  e.actor = attributes.take("actor");
  DASK_TRY(const double run_id, parse_number(attributes.get("run", "0")));
  e.run_id = static_cast<std::int64_t>(run_id);
  for (const std::string& number : split(attributes.get("priority", "0"), ',')) {
    DASK_TRY(const double value, parse_number(number));
    e.priority.append(value);
  }
  if (const auto resources = attributes.get("resources"))
    for (const std::string& resource : split(*resources, ',')) {
      const auto colon = resource.find(':');
      DASK_TRY(const double quantity, parse_number(std::string_view(resource).substr(colon + 1)));
      e.resource_restrictions.emplace_back(resource.substr(0, colon), quantity);
    }
  if (attributes.unknown() || attributes.words().size() != 1) return wrong("compute which key?");
  DASK_TRY(e.key, parse_key(attributes.words()[0]));
  if (native) {
    e.run_spec = NativeRunSpec{"function", {}, ++handles_};
  } else {
    e.run_spec = PythonRunSpec{Value("run spec")};
  }
  return e;
}

WorkerStory::Outcome WorkerStory::event(const Line& line) {
  if (line.tokens[0] == "set") return set(line);
  DASK_TRY(Event happened, parse(line));
  now_ += 1;
  seen_ = render(machine().handle(std::move(happened), now_, fmt::format("line-{}", line.number)));
  for (const WorkerSeen& s : seen_) {
    if (s.kind == "execute") runs_[s.keys[0]] = s.run_id;
    if (s.kind == "close" && !speaks_about("close")) return wrong("the worker wants to close: " + s.text);
  }
  if (const std::string complaint = machine().validate(); !complaint.empty()) return wrong("the state is broken: " + complaint);
  return {};
}

Result<Event> WorkerStory::parse(const Line& line) {
  std::string text = line.text;
  const std::string& verb = line.tokens[0];
  if (verb == "compute") {
    const std::vector<std::string> tasks = split(std::string_view(text).substr(verb.size()), ';');
    ComputeTasks batch;
    for (const std::string& task : tasks) {
      DASK_TRY(ComputeTask e, compute(task));
      batch.tasks.push_back(std::move(e));
    }
    if (batch.tasks.size() == 1) return std::move(batch.tasks[0]);
    return batch;
  }
  const std::string said = cut(text, " saying ");
  Attributes attributes(words(text));
  const std::vector<std::string> all(line.tokens.begin() + 1, line.tokens.end());
  const std::vector<std::string> names(attributes.words().begin() + 1, attributes.words().end());
  const std::string first = names.empty() ? "" : names[0];

  if (verb == "pause") return Pause{};
  if (verb == "unpause") return Unpause{};
  if (verb == "find-missing") return FindMissing{};
  if (verb == "acquire") {
    DASK_TRY(std::vector<Dependency> replicas, dependencies(all));
    return AcquireReplicas{std::move(replicas)};
  }
  if (verb == "refresh") {
    DASK_TRY(std::vector<Dependency> replicas, dependencies(all));
    RefreshWhoHas e;
    for (Dependency& replica : replicas) e.who_has.push_back({std::move(replica.key), std::move(replica.who_has)});
    return e;
  }
  if (verb == "threads") {
    DASK_TRY(const double n, parse_number(first));
    return SetNthreads{static_cast<std::uint32_t>(n)};
  }
  if (verb == "resources") {
    const auto colon = first.find(':');
    DASK_TRY(const double quantity, parse_number(std::string_view(first).substr(colon + 1)));
    return SetResources{{{first.substr(0, colon), quantity}}};
  }
  if (verb == "lost") return RemoveWorker{address_of(first)};
  if (verb == "busy") return GatherDepBusy{address_of(first)};
  if (verb == "retry") return RetryBusyWorker{address_of(first)};
  if (verb == "unreachable") return GatherDepNetworkFailure{address_of(first)};
  if (verb == "garbled") return GatherDepFailure{address_of(first), saying(said)};
  if (verb == "gathered") {  // gathered b: x y [failed=z]
    if (!first.ends_with(':')) return wrong("say: gathered PEER: KEY...");
    GatherDepSuccess e;
    e.worker = address_of(first.substr(0, first.size() - 1));
    DASK_TRY(const std::vector<Key> data, keys({names.begin() + 1, names.end()}));
    for (const Key& key : data) e.data.push_back({key, 1, {}, "int"});
    if (const auto failed = attributes.get("failed")) {
      DASK_TRY(const Key key, parse_key(*failed));
      e.failed.emplace_back(key, saying(said));
    }
    return e;
  }
  if (verb == "scatter") {
    DASK_TRY(const std::int64_t nbytes, parse_bytes(attributes.get("nbytes", "1")));
    DASK_TRY(const std::vector<Key> data, keys(names));
    UpdateData e;
    for (const Key& key : data) e.data.push_back({key, nbytes, {}, "int"});
    return e;
  }

  DASK_TRY(std::vector<Key> about, keys(names));
  if (about.empty()) return wrong(verb + " what?");
  if (verb == "free") return FreeKeys{std::move(about)};
  if (verb == "remove-replicas") return RemoveReplicas{std::move(about)};
  if (verb == "data-lost") return DataLost{std::move(about)};
  const Key& key = about[0];
  const auto started = runs_.find(key.str());
  const std::int64_t run_id = started == runs_.end() ? 0 : started->second;
  if (verb == "steal") return StealRequest{key};
  if (verb == "cancel") return CancelCompute{key};
  if (verb == "done") {
    DASK_TRY(const std::int64_t nbytes, parse_bytes(attributes.get("nbytes", "1")));
    ExecuteSuccess e;
    e.key = key;
    e.run_id = run_id;
    e.start = now_;
    e.stop = now_ + 1;
    e.nbytes = nbytes;
    e.typename_ = "int";
    return e;
  }
  if (verb == "failed") {
    ExecuteFailure e;
    e.key = key;
    e.run_id = run_id;
    e.failure = saying(said);
    return e;
  }
  if (verb == "rescheduled") return Reschedule{key};
  if (verb == "seceded") return Secede{key, 1};
  return wrong("no such event: " + verb);
}

}  // namespace dask::stories
