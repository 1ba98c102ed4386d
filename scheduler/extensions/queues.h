// Queues: shared queues of small values and of futures. A future in a queue is wanted by the pseudo client "queue-NAME" until
// whoever took it has said that it wants it itself. Source: distributed/queues.py; unlike there, what was taken out for a
// caller that has gone is put back, and the wishes of a queue end with it.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/extensions/deadlines.h"
#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

class Queues {
 public:
  struct Record {
    std::optional<Key> future;  // else:
    Value value;
  };
  // How many records a get asks for.
  struct Batch {
    enum class Kind : std::uint8_t { kOne, kAvailable, kCount };
    Kind kind = Kind::kOne;
    std::int64_t count = 1;
  };

  // Every client object of a queue creates it; maxsize of the first counts, 0 is unlimited.
  void create(const Key& name, std::int64_t maxsize);
  // A client object ends; the queue ends with the last one.
  void release(const Key& name, Effects& effects);
  // Waits while the queue is full.
  void put(RequestId request, const Key& name, Record record, double now, Deadline deadline, Effects& effects);
  // Answers a record or a list of records.
  void get(RequestId request, const Key& name, Batch batch, double now, Deadline deadline, Effects& effects);
  void qsize(RequestId request, const Key& name, Effects& effects) const;
  // `client` took the future out and wants it from now on.
  void future_received(const Key& name, const Key& key, const std::string& client, Effects& effects);

  // The caller has gone.
  void abandon(RequestId request, Effects& effects);
  void advance(double now, Effects& effects);
  Deadline next_deadline() const { return deadlines_.next(); }
  bool empty() const { return queues_.empty() && held_.empty(); }

 private:
  struct Putter {
    RequestId request;
    Record record;
  };
  struct Getter {
    RequestId request;
    Batch batch;
    std::vector<Record> taken;
  };
  struct Queue {
    std::int64_t maxsize = 0;
    std::int64_t objects = 0;  // of clients
    std::deque<Record> records;
    std::deque<Putter> putters;  // they wait for room
    std::deque<Getter> getters;  // they wait for records
    bool full() const { return maxsize > 0 && static_cast<std::int64_t>(records.size()) >= maxsize; }
  };
  // The futures that a pseudo client holds: how many records of each are in the queue or on their way to a client.
  struct Held {
    std::string client;
    std::map<Name, std::pair<Key, std::int64_t>> keys;
  };

  Queue* find(RequestId request, const Key& name, Effects& effects);
  void hold(const Key& name, const Key& key, Effects& effects);
  void let_go(const Name& name, const Key& key, Effects& effects);
  void settle(const Name& name, Effects& effects);
  static Value value_of(const Record& record);
  void stop_waiting(RequestId request);
  // Takes the caller out of the line; false when it did not wait.
  bool withdraw(RequestId request, Effects& effects);

  std::map<Name, Queue> queues_;
  std::map<Name, Held> held_;
  std::map<RequestId, Name> waiting_;
  Deadlines deadlines_;
};

}  // namespace dask::scheduler
