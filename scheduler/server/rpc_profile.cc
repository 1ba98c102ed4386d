// Operations on the workers' statistical profiles: profile, profile_metadata. Source: distributed/scheduler.py, get_profile.
#include <algorithm>

#include "core/runtime/log.h"
#include "scheduler/extensions/profiles.h"
#include "scheduler/server/broadcast.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

constexpr double kProfileCycle_s = 1;  // when distributed.worker.profile.cycle is not set

// The workers that were asked for by address; all when none were.
std::vector<std::pair<std::string, std::string>> peers_of(Server& server, const Value& workers) {
  std::vector<std::pair<std::string, std::string>> peers;
  for (WorkerId id : server.workers_of(workers)) {
    const std::string& address = server.state().worker(id).address;
    peers.emplace_back(address, address);
  }
  return peers;
}

// What workers said, without those that could not be asked or failed.
std::vector<Value> answers_of(Broadcast& all) {
  for (const auto& [address, error] : all.errors) log_warning("No profile of {}: {}", address, error);
  std::erase_if(all.results, [](const auto& result) { return result.second["status"].as_string() == "uncaught-error"; });
  std::vector<Value> answers;
  for (auto& [address, answer] : all.results) answers.push_back(answer);
  return answers;
}

void profile(Server& server, RpcCallPtr call) {
  const Value& msg = call->msg;
  // This scheduler's own profile: it runs no Python.
  if (msg["scheduler"].as_bool()) return call->reply(empty_profile());
  const Value message(Value::Map{{"op", "profile"},
                                 {"start", msg["start"]},
                                 {"stop", msg["stop"]},
                                 {"key", msg["key"]},
                                 {"server", msg["server"].as_bool()},
                                 {"reply", true}});
  const bool merge = msg["merge_workers"].is_nil() || msg["merge_workers"].as_bool();
  broadcast_to(server, peers_of(server, msg["workers"]), message, [call, merge](std::shared_ptr<Broadcast> all) {
    const std::vector<Value> answers = answers_of(*all);
    call->reply(merge ? merge_profiles(answers) : Value(std::move(all->results)));
  });
}

void profile_metadata(Server& server, RpcCallPtr call) {
  const Value& msg = call->msg;
  double cycle_s = kProfileCycle_s;
  if (auto configured = server.config().get_seconds("distributed.worker.profile.cycle"); configured && *configured) cycle_s = **configured;
  const Value& asked = msg["profile_cycle_interval"];
  if (asked.is_number()) cycle_s = asked.as_double() / 1000;  // a bare number is in milliseconds
  if (const std::string* text = asked.string()) {
    auto seconds = parse_timedelta(*text);
    if (!seconds) return call->raise("builtins.ValueError", seconds.error().message);
    cycle_s = *seconds;
  }
  if (!(cycle_s > 0)) return call->raise("builtins.ValueError", "profile_cycle_interval must be longer than 0 s");
  const Value message(Value::Map{
      {"op", "profile_metadata"}, {"start", msg["start"].is_nil() ? Value(0) : msg["start"]}, {"stop", msg["stop"]}, {"reply", true}});
  broadcast_to(server, peers_of(server, msg["workers"]), message,
               [call, cycle_s](std::shared_ptr<Broadcast> all) { call->reply(merge_profile_metadata(answers_of(*all), cycle_s)); });
}

}  // namespace

void add_profile_operations(RpcTable& table) {
  table["profile"] = profile;
  table["profile_metadata"] = profile_metadata;
}

}  // namespace dask::scheduler
