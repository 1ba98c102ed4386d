#include "core/runtime/config.h"
#include "core/runtime/log.h"
#include "scheduler/server/sessions.h"

namespace dask::scheduler {
namespace {

double fifo_timeout(const Value& value) {
  if (value.is_number()) return value.as_double();
  if (const std::string* text = value.string())
    if (auto seconds = parse_timedelta(*text)) return *seconds;
  return 0;
}

}  // namespace

void ClientSession::receive(std::vector<StreamMsg> batch) {
  for (StreamMsg& msg : batch) pending_.push_back(std::move(msg));
  process();
}

// In order; a graph that is being lowered holds back what its client said after it, and nobody else.
void ClientSession::process() {
  if (processing_) return;
  processing_ = true;
  auto keep_alive = shared_from_this();
  while (!blocked_ && !ended_ && !pending_.empty()) {
    StreamMsg msg = std::move(pending_.front());
    pending_.pop_front();
    handle(std::move(msg));
  }
  processing_ = false;
}

void ClientSession::block() {
  blocked_ = true;
  connection_->comm().pause_reading();
}

void ClientSession::unblock() {
  blocked_ = false;
  if (ended_) return;
  connection_->comm().resume_reading();
  process();
}

ClientId ClientSession::client_in(const Value& fields) {
  const std::string_view named = fields["client"].as_string();
  return named.empty() || named == name_ ? id_ : server_.machine().client_named(std::string(named));
}

void ClientSession::handle(StreamMsg msg) {
  if (auto* releases = std::get_if<ClientReleasesKeysMsg>(&msg)) {
    const ClientId client = releases->client.empty() || releases->client == name_ ? id_ : server_.machine().client_named(releases->client);
    return server_.apply(KeysReleased{client, std::move(releases->keys)}, server_.stimulus("client-releases-keys"));
  }
  if (auto* rest = std::get_if<OtherMsg>(&msg)) return other(std::move(*rest));
  log_warning("Skipping a worker's message on the stream of client {}", name_);
}

void ClientSession::other(OtherMsg msg) {
  const Value& fields = msg.fields;
  if (msg.op == "update-graph") return update_graph(fields);
  if (msg.op == "update-graph-native") return update_graph_native(fields);
  if (msg.op == "client-desires-keys")
    return server_.apply(KeysDesired{client_in(fields), keys_of(fields["keys"])}, server_.stimulus("client-desires-keys"));
  if (msg.op == "report-key") {
    auto key = Key::from_value(fields["key"]);
    if (key) server_.apply(KeyReportRequested{id_, *std::move(key)}, server_.stimulus("report-key"));
    return;
  }
  if (msg.op == "cancel-keys") {
    const std::string_view reason = fields["reason"].as_string();
    return server_.apply(KeysCancelled{client_in(fields), keys_of(fields["keys"]), fields["force"].as_bool(), std::string(reason),
                                       std::string(fields["msg"].as_string())},
                         server_.stimulus("cancel-key"));
  }
  if (msg.op == "heartbeat-client") {
    server_.state().client(id_).last_seen = server_.now();
    return server_.send(id_, Value(Value::Map{{"op", "adjust-heartbeat-interval"}, {"interval", server_.heartbeat_interval() * 10}}));
  }
  if (msg.op == "subscribe-topic") return server_.events().subscribe(std::string(fields["topic"].as_string()), name_);
  if (msg.op == "unsubscribe-topic") return server_.events().unsubscribe(std::string(fields["topic"].as_string()), name_);
  if (msg.op == "close-client" || msg.op == "close-stream") return server_.client_stream_ended(id_);
  if (server_.client_message(*this, msg.op, fields)) return;
  ++server_.counters().unknown_operations;
  log_warning("Skipping message '{}' of client {}: not supported by this scheduler (docs/compatibility.md)", msg.op, name_);
}

void ClientSession::update_graph(const Value& fields) {
  GraphRequest request;
  request.client = name_;
  request.expr_ser = fields["expr_ser"];
  request.keys = keys_of(fields["keys"]);
  if (const Value::Map* priorities = fields["internal_priority"].map_if())
    for (const auto& [name, rank] : *priorities)
      if (auto key = Key::from_value(name)) request.internal_priority.emplace_back(*std::move(key), rank.as_double());
  request.annotations = fields["annotations"];
  request.code = fields["code"];
  request.span_metadata = fields["span_metadata"];

  GraphSubmitted submitted;
  submitted.client = id_;
  submitted.graph = server_.next_graph();
  submitted.wanted = request.keys;
  submitted.received = server_.now();
  submitted.fifo_timeout_s = fifo_timeout(fields["fifo_timeout"]);
  if (const Value& task = fields["submitting_task"]; !task.is_nil())
    if (auto key = Key::from_value(task)) submitted.submitting_task = *std::move(key);
  if (const Value& actors = fields["actors"]; actors.is_bool())
    submitted.all_actors = actors.as_bool();
  else
    submitted.actors = keys_of(actors);

  const std::uint64_t graph = submitted.graph;
  const std::string stimulus_id = server_.stimulus("update-graph");
  block();
  ++server_.graphs_in_progress();
  auto shared = std::make_shared<GraphSubmitted>(std::move(submitted));
  Server& server = server_;
  GraphService::Callbacks callbacks;
  callbacks.lowered = [session = shared_from_this(), shared, stimulus_id](tl::expected<LoweredGraph, FailurePtr> lowered) {
    Server& s = session->server_;
    --s.graphs_in_progress();
    if (session->ended_) return;
    if (!lowered) {
      log_error("A graph of client {} failed: {}", session->name_, lowered.error()->exception_text);
      s.apply(GraphRejected{session->id_, std::move(shared->wanted), lowered.error()}, stimulus_id);
    } else {
      shared->columns = std::move(lowered->columns);
      s.apply(std::move(*shared), stimulus_id);
    }
    session->unblock();
  };
  callbacks.specs = [&server, graph](SpecBatch batch) { server.apply(RunSpecsArrived{graph, std::move(batch.specs)}, "run-specs"); };
  callbacks.done = [&server, graph](FailurePtr failure) {
    if (failure) log_error("Some tasks of a graph cannot be sent to workers: {}", failure->exception_text);
    server.apply(GraphCompleted{graph, std::move(failure)}, "graph-completed");
  };
  server_.graphs().submit(std::move(request), std::move(callbacks));
}

}  // namespace dask::scheduler
