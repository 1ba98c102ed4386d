// Operations that hand out the whole state: dump_state, get_cluster_state. Source: distributed/scheduler.py, cluster_dump.py.
#include "scheduler/server/broadcast.h"
#include "scheduler/server/server.h"
#include "scheduler/server/state_dump.h"

namespace dask::scheduler {
namespace {

std::set<std::string, std::less<>> excluded(const Value& msg) {
  const std::vector<std::string> names = strings_of(msg["exclude"]);
  return {names.begin(), names.end()};
}

// The scheduler's state at this moment with the workers' own, which they are asked for at the same time.
class ClusterState : public std::enable_shared_from_this<ClusterState> {
 public:
  ClusterState(Server& server, RpcCallPtr call) : server_(server), call_(std::move(call)) {}

  void start() {
    std::vector<std::pair<std::string, std::string>> peers;
    for (const auto& [address, id] : server_.state().workers()) peers.emplace_back(address, address);
    const Value dump(Value::Map{
        {"op", "dump_state"}, {"exclude", call_->msg["exclude"].is_nil() ? Value::array() : call_->msg["exclude"]}, {"reply", true}});
    auto self = shared_from_this();
    broadcast_to(server_, peers, dump, [self](std::shared_ptr<Broadcast> all) {
      self->workers_ = std::move(all->results);
      for (auto& [name, error] : all->errors) self->workers_.emplace_back(name, "OSError(" + Value(error).repr() + ")");
      self->answered();
    });
    broadcast_to(server_, peers, Value(Value::Map{{"op", "versions"}, {"reply", true}}), [self](std::shared_ptr<Broadcast> all) {
      self->versions_ = std::move(all->results);
      self->answered();
    });
    scheduler_ = dump_state(server_, excluded(call_->msg));
    answered();
  }

 private:
  void answered() {
    if (--pending_ > 0) return;
    Value versions(Value::Map{{"scheduler", server_.graphs().versions()}, {"workers", Value(std::move(versions_))}});
    call_->reply(Value(
        Value::Map{{"scheduler", std::move(scheduler_)}, {"workers", Value(std::move(workers_))}, {"versions", std::move(versions)}}));
  }

  Server& server_;
  RpcCallPtr call_;
  int pending_ = 3;
  Value scheduler_;
  Value::Map workers_;
  Value::Map versions_;
};

}  // namespace

void add_dump_operations(RpcTable& table) {
  table["dump_state"] = [](Server& s, RpcCallPtr call) { call->reply(dump_state(s, excluded(call->msg))); };
  table["get_cluster_state"] = [](Server& s, RpcCallPtr call) { std::make_shared<ClusterState>(s, std::move(call))->start(); };
  table["dump_cluster_state_to_url"] = [](Server&, RpcCallPtr call) {
    call->raise("builtins.NotImplementedError",
                "dask-native's scheduler writes no dumps itself: use Client.dump_cluster_state(filename, write_from_scheduler=False), "
                "which writes where the client is");
  };
}

}  // namespace dask::scheduler
