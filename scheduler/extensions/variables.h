// Variables: one value or future each, shared by name. A future is wanted by the pseudo client "variable-NAME" while it is
// the value, and until every reader has said that it wants it itself. Source: distributed/variable.py; unlike there, readers
// that leave without saying so, and a variable that is set back to an older future, keep nothing alive or let nothing go.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/extensions/deadlines.h"
#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

class Variables {
 public:
  struct Record {
    std::optional<Key> future;  // else:
    Value value;
  };

  void set(RequestId request, const Key& name, Record record, Effects& effects);
  // Waits until the variable is set. `client` confirms a future with its token.
  void get(RequestId request, const Key& name, const std::string& client, double now, Deadline deadline, Effects& effects);
  void future_received(const Key& name, const Key& key, const Value& token, const std::string& client, Effects& effects);
  void remove(const Key& name, Effects& effects);

  // The caller has gone.
  void abandon(RequestId request);
  void client_left(const std::string& client, Effects& effects);
  void advance(double now, Effects& effects);
  Deadline next_deadline() const { return deadlines_.next(); }
  bool empty() const { return variables_.empty(); }

 private:
  struct Reader {
    RequestId request;
    std::string client;
  };
  struct Held {
    Key key;
    std::map<std::string, std::string> tokens;  // unconfirmed token -> client
  };
  struct Variable {
    std::string client;            // the pseudo client
    std::optional<Record> record;  // none: not set (any more)
    std::map<Name, Held> held;     // the futures that the pseudo client wants
    std::vector<Reader> readers;   // they wait until it is set
  };

  void answer(Variable& variable, const Reader& reader, Effects& effects);
  // Ends the wishes that nobody needs, and forgets the variable when nothing is left of it.
  void tidy(const Name& name, Effects& effects);
  void withdraw(RequestId request);

  std::map<Name, Variable> variables_;
  std::map<RequestId, Name> waiting_;
  Deadlines deadlines_;
  std::uint64_t next_token_ = 1;
};

}  // namespace dask::scheduler
