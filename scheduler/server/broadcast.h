// One message to many peers, and their answers together.
// Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/value.h"

namespace dask::scheduler {

class Server;

struct Broadcast {
  Value::Map results;                         // name -> answer
  std::map<std::string, std::string> errors;  // name -> why there is no answer
  std::size_t pending = 0;
};

// Sends `message` to each (name, address) and hands over what came back; an unreachable peer's answer is its error.
void broadcast_to(Server& server, const std::vector<std::pair<std::string, std::string>>& peers, const Value& message,
                  std::function<void(std::shared_ptr<Broadcast>)> done);

}  // namespace dask::scheduler
