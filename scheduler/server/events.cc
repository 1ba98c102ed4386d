#include "scheduler/server/events.h"

namespace dask::scheduler {

void Events::log(const std::vector<std::string>& topics, double now, const Value& msg) {
  for (const std::string& topic : topics) {
    std::deque<Entry>& entries = topics_[topic];
    entries.push_back(Entry{now, msg});
    if (entries.size() > length_max_) entries.pop_front();
    auto it = subscribers_.find(topic);
    if (it == subscribers_.end()) continue;
    for (const std::string& client : it->second) notify_(client, topic, entries.back());
  }
}

void Events::unsubscribe(const std::string& topic, const std::string& client) {
  auto it = subscribers_.find(topic);
  if (it == subscribers_.end()) return;
  it->second.erase(client);
  if (it->second.empty()) subscribers_.erase(it);
}

void Events::forget_client(const std::string& client) {
  for (auto it = subscribers_.begin(); it != subscribers_.end();) {
    it->second.erase(client);
    it = it->second.empty() ? subscribers_.erase(it) : std::next(it);
  }
}

}  // namespace dask::scheduler
