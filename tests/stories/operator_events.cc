// The events of an operator's story.
#include <fmt/format.h>

#include <algorithm>

#include "operator/plan/scheduler_view.h"
#include "operator_story.h"

namespace dask::stories {

using namespace operator_model;

namespace {

Result<Kind> kind_of(const std::string& name) {
  for (const Kind kind : kKinds)
    if (name_of(kind) == name) return kind;
  return fail(ErrorCode::kInvalidArgument, "no such kind: " + name);
}

// Text after " saying ".
std::string saying(const Line& line) {
  const auto at = line.text.find(" saying ");
  return at == std::string::npos ? "" : trim(std::string_view(line.text).substr(at + 8));
}

Result<Value> json_of(const Line& line) {
  const auto brace = line.text.find('{');
  if (brace == std::string::npos) return Value::map();
  return parse_json(std::string_view(line.text).substr(brace));
}

}  // namespace

std::string OperatorStory::short_name(std::string_view name) const {
  constexpr std::string_view kInfix = "-worker-";
  constexpr int kOrdinalsTried = 200;
  const auto at = name.rfind(kInfix);
  if (at == name.npos) return std::string(name);
  const std::string group(name.substr(0, at));
  if (const Value* object = api_.find(Kind::kDaskWorkerGroup, group))
    for (int ordinal = 0; ordinal < kOrdinalsTried; ++ordinal)
      if (worker_name(group, operator_model::at(*object, {"metadata", "uid"}).as_string(), ordinal) == name)
        return fmt::format("{}/{}", group, ordinal);
  return std::string(name);
}

std::string OperatorStory::full_name(const std::string& name) const {
  const auto slash = name.find('/');
  if (slash == std::string::npos) return name;
  const std::string group = name.substr(0, slash);
  const Value* object = api_.find(Kind::kDaskWorkerGroup, group);
  const auto ordinal = parse_number(name.substr(slash + 1));
  if (!object || !ordinal) return name;
  return worker_name(group, operator_model::at(*object, {"metadata", "uid"}).as_string(), static_cast<std::int64_t>(*ordinal));
}

void OperatorStory::plan() {
  Observed observed = observe(api_.objects(), "ns", cluster_);
  observed.scheduler = view_;
  observed.refusals = refusals_;
  Actions actions = plan_cluster(observed, settings_, api_.now_ms);
  for (const ObjectKey& key : api_.keys(Kind::kDaskJob))
    if (auto job = parse_dask_job(*api_.find(key.first, key.second)))
      for (Action& action : plan_job(*job, settings_, api_.now_ms)) actions.push_back(std::move(action));
  for (const ObjectKey& key : api_.keys(Kind::kDaskAutoscaler))
    if (auto autoscaler = parse_dask_autoscaler(*api_.find(key.first, key.second)))
      for (Action& action : plan_autoscaler(*autoscaler, settings_, api_.now_ms)) actions.push_back(std::move(action));
  seen_ = render(actions, [&](std::string_view name) { return short_name(name); });
  for (const Action& action : actions) {
    api_.carry_out(action);
    if (std::get_if<PollScheduler>(&action.what)) view_.polling = true;
    if (const auto* ask = std::get_if<AskSchedulerToRetire>(&action.what)) take_request(view_, *ask, api_.now_ms);
  }
}

OperatorStory::Outcome OperatorStory::event(const Line& line) {
  // "given cluster demo": what it leads to is not looked at, until nothing more follows from it.
  if (line.tokens[0] == "given" && line.tokens.size() > 1) {
    constexpr int kPlansMax = 20;
    if (auto outcome = happen(Line{line.number, line.text, {line.tokens.begin() + 1, line.tokens.end()}}); !outcome) return outcome;
    for (int plans = 0;; ++plans) {
      plan();
      if (std::all_of(seen_.begin(), seen_.end(), [](const OperatorSeen& s) { return s.kind == "again" || s.kind == "poll"; })) break;
      if (plans == kPlansMax) return wrong("the plans find no end:" + what_is_left());
    }
    seen_.clear();
    return {};
  }
  if (auto outcome = happen(line); !outcome) return outcome;
  if (line.tokens[0] == "set") {
    seen_.clear();
    return {};
  }
  plan();
  return {};
}

OperatorStory::Outcome OperatorStory::happen(const Line& line) {
  const std::string& verb = line.tokens[0];
  if (verb == "plan") return {};
  if (verb == "time") {
    if (line.tokens.size() != 2) return wrong("time SECONDS");
    DASK_TRY(const double seconds, parse_number(line.tokens[1]));
    api_.now_ms = start_ms_ + static_cast<TimeMs>(seconds * 1000);
    return {};
  }
  if (verb == "set") {
    if (line.tokens.size() != 3) return wrong("set NAME VALUE");
    DASK_TRY(const double value, parse_number(line.tokens[2]));
    if (line.tokens[1] == "worker-batch-size") return settings_.worker_batch_size = static_cast<std::int64_t>(value), Outcome{};
    if (line.tokens[1] == "worker-batch-delay") return settings_.worker_batch_delay_ms = static_cast<TimeMs>(value * 1000), Outcome{};
    return wrong("no such setting");
  }
  for (const char* word : {"cluster", "group", "object", "scale", "edit", "delete", "collect", "refused", "accepted"})
    if (verb == word) return write(verb, line);
  for (const char* word : {"runs", "unready", "trouble", "ended", "quota", "gone"})
    if (verb == word) return kubelet(verb, line);
  for (const char* word : {"registered", "left", "answers", "fails", "retired", "stays", "restarted"})
    if (verb == word) return scheduler(verb, line);
  return wrong("no such event: " + verb);
}

// What users (and the garbage collector) do to objects.
OperatorStory::Outcome OperatorStory::write(const std::string& verb, const Line& line) {
  Line head = line;
  if (const auto brace = line.text.find('{'); brace != std::string::npos) {
    head.tokens = words(std::string_view(line.text).substr(0, brace));
    if (head.tokens[0] == "given") head.tokens.erase(head.tokens.begin());
  }
  Attributes attributes(head.tokens);
  const std::vector<std::string> names(attributes.words().begin() + 1, attributes.words().end());
  DASK_TRY(const Value json, json_of(line));
  Answer answer;
  if (verb == "cluster" || verb == "group") {
    if (names.size() != 1) return wrong(verb + " NAME ...");
    Wish wish;
    wish.name = names[0];
    DASK_TRY(const double replicas, parse_number(attributes.get("replicas", "1")));
    wish.replicas = static_cast<std::int64_t>(replicas);
    wish.image = attributes.get("image", "dask");
    wish.service_type = attributes.get("service", "ClusterIP");
    if (verb == "cluster") cluster_ = wish.name;
    Value object = verb == "cluster" ? cluster_object(wish) : group_object(wish, attributes.get("cluster", cluster_));
    merge_patch(object, json);
    answer = api_.create(verb == "cluster" ? Kind::kDaskCluster : Kind::kDaskWorkerGroup, std::move(object));
  } else if (verb == "object") {
    DASK_TRY(const Kind kind, kind_of(names.at(0)));
    Value object = body_of({kind, "ns", full_name(names.at(1)), {}});
    merge_patch(object, json);
    answer = api_.create(kind, std::move(object));
  } else if (verb == "scale") {
    const bool whole = names.at(0) == "cluster";
    DASK_TRY(const double replicas, parse_number(names.at(whole ? 2 : 1)));
    Value body = Value::map();
    put(body, {"spec", "worker", "replicas"}, static_cast<std::int64_t>(replicas));
    answer = api_.patch({whole ? Kind::kDaskCluster : Kind::kDaskWorkerGroup, "ns", names[whole ? 1 : 0], {}}, body);
  } else if (verb == "edit") {
    DASK_TRY(const Kind kind, kind_of(names.at(0)));
    answer = api_.patch({kind, "ns", full_name(names.at(1)), {}}, json);
  } else if (verb == "delete") {
    DASK_TRY(const Kind kind, kind_of(names.at(0)));
    answer = api_.remove({kind, "ns", full_name(names.at(1)), {}});
  } else if (verb == "collect") {
    while (collect_one(api_)) {
    }
  } else if (verb == "refused") {
    DASK_TRY(const Kind kind, kind_of(names.at(0)));
    DASK_TRY(const double code, parse_number(names.at(2)));
    refusals_.push_back(Refusal{{kind, "ns", full_name(names[1]), {}}, static_cast<int>(code), saying(line)});
  } else {
    refusals_.clear();
  }
  return answer.ok() ? Outcome{} : wrong(fmt::format("{}: {}", answer.code, answer.message));
}

// What happens to pods.
OperatorStory::Outcome OperatorStory::kubelet(const std::string& verb, const Line& line) {
  for (std::size_t i = 1; i < line.tokens.size(); ++i) {
    if (line.tokens[i] == "saying") break;
    if (verb == "trouble" && i > 1) break;
    DASK_TRY(const auto expanded, expand(line.tokens[i]));
    for (const std::string& short_one : expanded) {
      const std::string name = full_name(short_one);
      const bool bare = api_.find(Kind::kPod, name) != nullptr;
      if (!bare && !api_.find(Kind::kDeployment, name)) return wrong("there is no Deployment or Pod " + name);
      if (verb == "quota") {
        api_.overwrite(Kind::kDeployment, name, [&](Value& object) {
          put(object, {"status", "conditions"},
              Value(Value::Array{Value(
                  Value::Map{{"type", "ReplicaFailure"}, {"status", "True"}, {"reason", "FailedCreate"}, {"message", saying(line)}})}));
        });
        continue;
      }
      if (verb == "gone") {
        for (const ObjectKey& key : api_.keys(Kind::kPod))
          if (key.second.starts_with(name) &&
              !operator_model::at(*api_.find(key.first, key.second), {"metadata", "deletionTimestamp"}).is_nil())
            api_.drop(key.first, key.second);
        continue;
      }
      const std::string pod = bare ? name : make_pod(api_, name);
      if (verb == "runs") start_pod(api_, pod);
      if (verb == "unready") start_pod(api_, pod, false);
      if (verb == "trouble") trouble_pod(api_, pod, line.tokens.at(2), saying(line));
      if (verb == "ended") api_.overwrite(Kind::kPod, pod, [](Value& object) { put(object, {"status", "phase"}, "Failed"); });
      if (!bare) sync_deployment(api_, name);
    }
  }
  return {};
}

// What the scheduler says. Workers' addresses are made of their names, so that stories need no numbers.
OperatorStory::Outcome OperatorStory::scheduler(const std::string& verb, const Line& line) {
  Attributes attributes(line.tokens);
  std::vector<std::string> names;
  for (std::size_t i = 1; i < attributes.words().size() && attributes.words()[i] != "saying"; ++i) {
    DASK_TRY(const auto expanded, expand(attributes.words()[i]));
    names.insert(names.end(), expanded.begin(), expanded.end());
  }
  if (verb == "answers") {
    SchedulerView fresh;
    fresh.id = view_.id;
    if (const auto idle = attributes.get("idle-since")) {
      DASK_TRY(const double seconds, parse_number(*idle));
      fresh.idle_since_ms = start_ms_ + static_cast<TimeMs>(seconds * 1000);
    }
    for (const auto& [name, worker] : workers_) fresh.workers.push_back(worker);
    take_poll(view_, std::move(fresh), api_.now_ms);
    return {};
  }
  if (verb == "fails") {
    take_failed_poll(view_, saying(line), api_.now_ms);
    return {};
  }
  if (verb == "restarted") {
    workers_.clear();
    view_.retirements.clear();
    return {};
  }
  for (const std::string& name : names) {
    const std::string address = fmt::format("tcp://{}:1", full_name(name));
    if (verb == "registered") {
      SchedulerWorker& worker = workers_[name];
      worker.address = address;
      worker.name = full_name(name);
      worker.status = attributes.get("status", "running");
      DASK_TRY(worker.stored_bytes, parse_bytes(attributes.get("bytes", "0")));
      DASK_TRY(const double processing, parse_number(attributes.get("processing", "0")));
      worker.processing = static_cast<std::int64_t>(processing);
    } else if (verb == "left") {
      workers_.erase(name);
    } else {
      Retirement& retirement = view_.retirements[address];
      retirement.outcome = verb == "retired" ? Retirement::Outcome::kRetired : Retirement::Outcome::kStays;
      retirement.answered_ms = api_.now_ms;
      if (verb == "retired") workers_[name].status = "closing_gracefully";
    }
  }
  return {};
}

}  // namespace dask::stories
