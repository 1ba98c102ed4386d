// Datasets: collections published by name; their keys are wanted by the pseudo client "published-NAME" until they are
// unpublished. A client's stream may lag behind its calls, so each change waits until its client's flush mark has arrived
// there. Source: distributed/publish.py; unlike there, a call that fails changes nothing.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "scheduler/extensions/deadlines.h"
#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

class Datasets {
 public:
  static constexpr double kUnknownClientWait_s = 30;     // for a flush mark of a client that is not connected
  static constexpr std::size_t kFlushMarksMax = 10'000;  // that no call has asked for; the oldest is dropped

  struct Entry {
    Key name;
    std::vector<Key> keys;
    Value wire_keys;  // as they came
    Value data;       // opaque
  };
  // Who asks for a change, and which mark on its stream comes before it.
  struct Caller {
    RequestId request = 0;
    std::string client;
    bool connected = false;
    Key flush;
  };

  void put(Caller caller, std::vector<Entry> entries, bool override, double now, Effects& effects);
  void remove(Caller caller, std::vector<Key> names, double now, Effects& effects);
  void list(RequestId request, Effects& effects) const;
  void get(RequestId request, const std::vector<Key>& names, Effects& effects) const;
  // A flush mark arrived on the client's stream.
  void flushed(const Key& flush, const std::string& client, Effects& effects);

  // The caller has gone.
  void abandon(RequestId request);
  void client_left(const std::string& client, Effects& effects);
  void advance(double now, Effects& effects);
  Deadline next_deadline() const { return deadlines_.next(); }
  std::size_t size() const { return datasets_.size(); }

 private:
  struct Change {
    Caller caller;
    bool removes = false;
    bool override = false;
    std::vector<Entry> entries;
    std::vector<Key> names;
  };
  void request(Change change, double now, Effects& effects);
  void apply(Change change, Effects& effects);
  void drop(const Name& name, Effects& effects);
  void fail(RequestId request, Effects& effects);

  std::map<Name, Entry> datasets_;
  std::map<Name, Change> waiting_;  // by flush mark
  std::map<RequestId, Name> waiting_flush_;
  std::map<Name, std::string> marks_;  // arrived before their call -> client
  std::deque<Name> mark_order_;
  Deadlines deadlines_;
};

}  // namespace dask::scheduler
