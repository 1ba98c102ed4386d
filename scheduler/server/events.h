// Events: Dask's topics. Each keeps its last messages, and clients that subscribed are told of new ones at once.
// Source: distributed/broker.py.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/value.h"

namespace dask::scheduler {

class Events {
 public:
  struct Entry {
    double time = 0;  // seconds since 1970
    Value msg;
  };
  // Tells a client, by name, of a new entry.
  using Notify = std::function<void(const std::string& client, const std::string& topic, const Entry& entry)>;

  Events(std::size_t length_max, Notify notify) : length_max_(length_max), notify_(std::move(notify)) {}

  void log(const std::vector<std::string>& topics, double now, const Value& msg);
  void subscribe(const std::string& topic, const std::string& client) { subscribers_[topic].insert(client); }
  void unsubscribe(const std::string& topic, const std::string& client);
  void forget_client(const std::string& client);
  void truncate(const std::string& topic) { topics_.erase(topic); }
  const std::map<std::string, std::deque<Entry>, std::less<>>& topics() const { return topics_; }

 private:
  std::size_t length_max_;
  Notify notify_;
  std::map<std::string, std::deque<Entry>, std::less<>> topics_;
  std::map<std::string, std::set<std::string>> subscribers_;
};

}  // namespace dask::scheduler
