// A registered worker or client: its stream, and what its messages mean.
// Thread ownership: the loop's thread.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/base/messages.h"
#include "core/net/connection.h"
#include "scheduler/server/server.h"
#include "scheduler/server/stream.h"

namespace dask::scheduler {

class WorkerSession {
 public:
  WorkerSession(Server& server, WorkerId id, std::shared_ptr<Connection> connection)
      : stream(connection->comm_ptr()), server_(server), id_(id), connection_(std::move(connection)) {}

  // Every message of the batch, in order.
  void receive(std::vector<StreamMsg> batch);
  Connection& connection() { return *connection_; }

  Stream stream;

 private:
  void other(OtherMsg msg);
  void native_finished(const Value& fields);
  void native_erred(const Value& fields);

  Server& server_;
  WorkerId id_;
  std::shared_ptr<Connection> connection_;
};

class ClientSession : public std::enable_shared_from_this<ClientSession> {
 public:
  ClientSession(Server& server, ClientId id, std::string name, std::shared_ptr<Connection> connection)
      : stream(connection->comm_ptr()), server_(server), id_(id), name_(std::move(name)), connection_(std::move(connection)) {}

  void receive(std::vector<StreamMsg> batch);
  // The client has gone: later callbacks do nothing.
  void end() { ended_ = true; }
  Connection& connection() { return *connection_; }
  const std::string& name() const { return name_; }
  // It has sent a graph that asks for small results; a stock client has no field for them.
  bool takes_values() const { return takes_values_; }

  Stream stream;

 private:
  void process();
  void handle(StreamMsg msg);
  void other(OtherMsg msg);
  void update_graph(const Value& fields);
  void update_graph_native(const Value& fields);
  void block();
  void unblock();
  // The client that a message speaks for: fire-and-forget and the like may be named in it.
  ClientId client_in(const Value& fields);

  Server& server_;
  ClientId id_;
  std::string name_;
  std::shared_ptr<Connection> connection_;
  std::deque<StreamMsg> pending_;  // behind a graph that is being lowered
  bool blocked_ = false;
  bool processing_ = false;
  bool ended_ = false;
  bool takes_values_ = false;
};

}  // namespace dask::scheduler
