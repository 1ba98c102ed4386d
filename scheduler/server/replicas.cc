#include "scheduler/server/replicas.h"

#include <algorithm>

#include "core/runtime/log.h"

namespace dask::scheduler {

void Turns::run(std::function<void(std::function<void()>)> operation) {
  waiting_.push_back(std::move(operation));
  if (!busy_) next();
}

void Turns::next() {
  busy_ = !waiting_.empty();
  if (!busy_) return;
  auto operation = std::move(waiting_.front());
  waiting_.pop_front();
  operation([this] { next(); });
}

void gather_on_workers(Server& server, const Gathers& gathers, std::function<void(FailedGathers)> done) {
  if (gathers.empty()) return done({});
  struct All {
    FailedGathers failed;
    std::size_t pending = 0;
    std::function<void(FailedGathers)> done;
  };
  auto all = std::make_shared<All>();
  all->pending = gathers.size();
  all->done = std::move(done);
  for (const auto& [recipient, wanted] : gathers) {
    Value::Map who_has;
    std::vector<Key> keys;
    for (const auto& [key, holders] : wanted) {
      Value::Array addresses(holders.begin(), holders.end());
      who_has.emplace_back(key.value(), Value(std::move(addresses)));
      keys.push_back(key);
    }
    const std::string address = server.state().worker(recipient).address;
    server.rpc().call(address, Value(Value::Map{{"op", "gather"}, {"who_has", Value(std::move(who_has))}, {"reply", true}}),
                      [&server, all, recipient = recipient, address, keys = std::move(keys)](Result<Value> answer) mutable {
                        const std::string_view status = answer ? (*answer)["status"].as_string() : "";
                        std::vector<Key> failed;
                        if (!server.stream(recipient) || (status != "OK" && status != "partial-fail")) {
                          log_warning("Communication with worker {} failed during replication: {}", address,
                                      answer ? answer->repr() : answer.error().message);
                          failed = std::exchange(keys, {});
                        } else if (status == "partial-fail") {
                          failed = keys_of((*answer)["keys"]);
                          log_warning("Worker {} failed to acquire keys: {}", address, (*answer)["keys"].repr());
                          std::erase_if(keys, [&](const Key& key) { return std::find(failed.begin(), failed.end(), key) != failed.end(); });
                        }
                        if (!keys.empty()) server.apply(ReplicasAdded{recipient, std::move(keys)}, server.stimulus("gather"));
                        if (!failed.empty()) all->failed[recipient] = std::move(failed);
                        if (--all->pending == 0) all->done(std::move(all->failed));
                      });
  }
}

void delete_on_workers(Server& server, const std::map<WorkerId, std::vector<Key>>& keys, const std::string& stimulus_id,
                       std::function<void()> done) {
  if (keys.empty()) return done();
  auto pending = std::make_shared<std::size_t>(keys.size());
  auto finished = std::make_shared<std::function<void()>>(std::move(done));
  for (const auto& [worker, deleted] : keys) {
    Value::Array names;
    for (const Key& key : deleted) names.push_back(key.value());
    const Value list(std::move(names));
    const std::string address = server.state().worker(worker).address;
    server.rpc().call(
        address, Value(Value::Map{{"op", "free_keys"}, {"keys", list}, {"stimulus_id", server.stimulus("delete-data")}, {"reply", true}}),
        [&server, worker = worker, deleted = deleted, list, address, stimulus_id, pending, finished](Result<Value> answer) {
          if (!answer) {
            log_warning("Communication with worker {} failed during replication: {}", address, answer.error().message);
          } else {
            server.apply(WorkerDataReleased{worker, deleted}, stimulus_id);
            server.log_event({address}, Value(Value::Map{{"action", "remove-worker-data"}, {"keys", list}}));
          }
          if (--*pending == 0) (*finished)();
        });
  }
}

}  // namespace dask::scheduler
