#include "scheduler/server/broadcast.h"

#include "scheduler/server/server.h"

namespace dask::scheduler {

void broadcast_to(Server& server, const std::vector<std::pair<std::string, std::string>>& peers, const Value& message,
                  std::function<void(std::shared_ptr<Broadcast>)> done) {
  auto all = std::make_shared<Broadcast>();
  all->pending = peers.size();
  if (peers.empty()) return done(all);
  for (const auto& peer : peers) {
    const std::string& name = peer.first;
    server.rpc().call(peer.second, message, [all, name, done](Result<Value> answer) {
      if (answer)
        all->results.emplace_back(name, *std::move(answer));
      else
        all->errors[name] = answer.error().message;
      if (--all->pending == 0) done(all);
    });
  }
}

}  // namespace dask::scheduler
