#include "worker/transfer/incoming.h"

#include <map>
#include <set>
#include <unordered_set>

#include "core/runtime/log.h"
#include "worker/transfer/outgoing.h"

namespace dask::worker {
namespace {

constexpr auto kBusyWait = std::chrono::milliseconds(150);  // Dask's

}  // namespace

void Incoming::get_data(const std::string& worker, const std::vector<Key>& keys, std::function<void(Gathered)> done) {
  Value::Array names;
  for (const Key& key : keys) names.push_back(key.value());
  Value request(Value::Map{{"op", "get_data"}, {"keys", Value(std::move(names))}, {"who", who_}});
  pool_.call(
      worker, std::move(request),
      [alive = alive_, worker, done = std::move(done)](Result<Value> reply) {
        if (!*alive) return;
        Gathered gathered;
        if (!reply) {
          gathered.outcome = reply.error().code == ErrorCode::kMalformed ? Gathered::Outcome::kFailure : Gathered::Outcome::kNetworkFailure;
          gathered.text = reply.error().message;
          return done(std::move(gathered));
        }
        const std::string_view status = (*reply)["status"].as_string();
        if (status == "busy") {
          gathered.outcome = Gathered::Outcome::kBusy;
          return done(std::move(gathered));
        }
        const Value::Map* data = (*reply)["data"].map_if();
        if (status != "OK" || !data) {
          gathered.outcome = Gathered::Outcome::kFailure;
          gathered.text =
              worker + " answered get_data with " + (*reply)["exception_text"].as_string((*reply).is_map() ? "no data" : "nonsense").data();
          gathered.failure = *std::move(reply);
          return done(std::move(gathered));
        }
        for (const auto& [name, value] : *data) {
          auto key = Key::from_value(name);
          OpaquePtr payload = value.opaque();
          if (!key || !payload) continue;
          std::string text;
          if (is_serialisation_error(*payload, text))
            gathered.unserialised.emplace_back(*std::move(key), std::move(text));
          else
            gathered.data.emplace_back(*std::move(key), std::move(payload));
        }
        done(std::move(gathered));
      },
      true);
}

struct Incoming::Round {
  WhoHas open;
  std::vector<Key> failed;
  std::set<std::string> missing, busy;
  std::size_t under_way = 0;
  std::function<void(std::vector<std::pair<Key, OpaquePtr>>)> got;
  std::function<void(std::vector<Key>)> done;
  net::Loop::Timer timer;
};

void Incoming::gather(WhoHas who_has, std::function<void(std::vector<std::pair<Key, OpaquePtr>>)> got,
                      std::function<void(std::vector<Key>)> done) {
  auto round = std::make_shared<Round>();
  round->open = std::move(who_has);
  round->got = std::move(got);
  round->done = std::move(done);
  next_round(round);
}

void Incoming::next_round(const std::shared_ptr<Round>& round) {
  std::map<std::string, std::vector<Key>> ask;
  WhoHas left;
  for (auto& [key, holders] : round->open) {
    std::erase_if(holders, [&](const std::string& holder) { return round->missing.count(holder) != 0; });
    if (holders.empty()) {
      round->failed.push_back(key);
      continue;
    }
    for (const std::string& holder : holders)
      if (!round->busy.count(holder)) {
        ask[holder].push_back(key);
        break;
      }
    left.emplace_back(std::move(key), std::move(holders));
  }
  round->open = std::move(left);
  if (round->open.empty()) return round->done(std::move(round->failed));
  if (ask.empty()) {
    round->busy.clear();
    round->timer = loop_.after(kBusyWait, [this, round] {
      const auto keep = round;  // the timer holds what it calls
      next_round(keep);
    });
    return;
  }
  round->under_way = ask.size();
  for (const auto& [holder, keys] : ask) {
    get_data(holder, keys, [this, round, holder = holder, keys = keys](Gathered gathered) {
      std::set<std::string> settled;
      if (gathered.outcome == Gathered::Outcome::kBusy) {
        round->busy.insert(holder);
      } else if (gathered.outcome == Gathered::Outcome::kNetworkFailure) {
        round->missing.insert(holder);
      } else if (gathered.outcome == Gathered::Outcome::kFailure) {
        log_error("Unexpected error while collecting data from {}: {}", holder, gathered.text);
        for (const Key& key : keys) {
          round->failed.push_back(key);
          settled.emplace(key.msgpack());
        }
      } else {
        for (const auto& [key, data] : gathered.data) settled.emplace(key.msgpack());
        for (const auto& [key, text] : gathered.unserialised) {
          log_error("{} could not serialise {}: {}", holder, key.repr(), text);
          round->failed.push_back(key);
          settled.emplace(key.msgpack());
        }
        round->got(std::move(gathered.data));
        // What it should have had and has not is not asked from it again.
        const std::unordered_set<Key> asked(keys.begin(), keys.end());
        for (auto& [key, holders] : round->open)
          if (asked.count(key) != 0) std::erase(holders, holder);
      }
      std::erase_if(round->open, [&](const auto& entry) { return settled.count(std::string(entry.first.msgpack())) != 0; });
      if (--round->under_way == 0) next_round(round);
    });
  }
}

}  // namespace dask::worker
