// /info: server-rendered pages about workers, tasks, failures and logs; paths as in distributed/http/scheduler/info.py.
// Lists are cut at kListed entries and say so.
#include <algorithm>

#include <fmt/format.h>

#include "core/runtime/log.h"
#include "core/runtime/python_literal.h"
#include "scheduler/server/html.h"
#include "scheduler/server/http_routes.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

constexpr std::size_t kListed = 1000;
constexpr std::string_view kTop = "../../";  // every page is two folders deep

std::string text_of(const Value& name) { return name.is_string() ? std::string(name.as_string()) : name.repr(); }

std::string task_link(const Task& ts) {
  const std::string key = ts.key.str();
  return fmt::format("<a href=\"{}info/task/{}.html\">{}</a>", kTop, html::url_segment(key), html::escape(key));
}
std::string worker_link(const Worker& ws) {
  return fmt::format("<a href=\"{}info/worker/{}.html\">{}</a>", kTop, html::url_segment(ws.address), html::escape(ws.address));
}

// "(n) a, b, c …" of the tasks that `task_at` gives.
template <class TaskAt>
std::string task_list(std::size_t size, const TaskAt& task_at) {
  std::string out = fmt::format("({}) ", size);
  for (std::size_t i = 0; i < std::min(size, kListed); ++i) out += (i ? ", " : "") + task_link(task_at(i));
  if (size > kListed) out += " …";
  return out;
}

std::string worker_row(const State& state, const Worker& ws) {
  return fmt::format(
      "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.0f} %</td><td class=\"n\">{}</td><td "
      "class=\"n\">{}</td>"
      "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td><a href=\"{}info/logs/{}.html\">logs</a></td></tr>\n",
      worker_link(ws), html::escape(text_of(ws.name)), name_of(ws.status), ws.nthreads, ws.metrics["cpu"].as_double(),
      html::bytes(static_cast<double>(ws.memory_process)), ws.memory_limit ? html::bytes(static_cast<double>(ws.memory_limit)) : "none",
      ws.processing.size(), ws.has_what.size(), html::seconds(state.occupancy(ws)), kTop, html::url_segment(ws.address));
}
constexpr const char* kWorkerHead =
    "<table><tr><th>Worker</th><th>Name</th><th>Status</th><th>Threads</th><th>CPU</th><th>Memory</th><th>Limit</th><th>Processing</"
    "th><th>In memory</th>"
    "<th>Occupancy</th><th>Logs</th></tr>\n";

net::HttpResponse workers_page(Server& server) {
  const State& state = server.state();
  std::string body = fmt::format("<p>{} workers, {} threads, {}. Scheduler at {}.</p>\n{}", state.workers().size(), state.total_nthreads(),
                                 html::bytes(static_cast<double>(state.total_memory())), html::escape(server.address()), kWorkerHead);
  for (const auto& [address, id] : state.workers()) body += worker_row(state, state.worker(id));
  return html_response(html::page("Workers", kTop, body + "</table>"));
}

net::HttpResponse worker_page(Server& server, const std::string& address) {
  const State& state = server.state();
  const Worker* ws = state.find_worker(address);
  if (!ws) return html_response(html::page("No such worker", kTop, "<p>There is no worker at " + html::escape(address) + ".</p>"), 404);
  std::string body = kWorkerHead + worker_row(state, *ws) + "</table>\n<h2>Details</h2>\n<table>\n";
  body += html::row("Host", html::escape(ws->host)) + html::row("Process", std::to_string(ws->pid)) +
          html::row("Local directory", html::escape(ws->local_directory));
  body += html::row("Last seen", html::time(ws->last_seen)) +
          html::row("Nanny", ws->nanny.is_nil() ? "none" : html::escape(text_of(ws->nanny)));
  body += html::row("Managed", html::bytes(static_cast<double>(ws->nbytes))) +
          html::row("Spilled", html::bytes(static_cast<double>(ws->disk_spilled)));
  for (const auto& [resource, quantity] : ws->resources) body += html::row("Resource " + resource, fmt::format("{}", quantity));
  const auto in = [&](const std::vector<std::uint32_t>& slots) {
    return task_list(slots.size(), [&](std::size_t i) -> const Task& { return state.task(slots[i]); });
  };
  body += html::row("Processing", in(ws->processing)) + html::row("In memory", in(ws->has_what)) + "</table>";
  return html_response(html::page("Worker " + ws->address, kTop, body));
}

// A task by Python's str(key): a string key itself, or a tuple or number written out.
const Task* find_task(const State& state, const std::string& text) {
  if (const Task* ts = state.find(Key::from_string(text).msgpack())) return ts;
  auto key = Key::from_value(interpret_value(text));
  return key ? state.find(key->msgpack()) : nullptr;
}

const Failure* failure_of(const State& state, const Task& ts) {
  const Task* blamed = ts.extra ? state.get(ts.extra->exception_blame) : nullptr;
  if (ts.extra && ts.extra->failure) return ts.extra->failure.get();
  return blamed && blamed->extra ? blamed->extra->failure.get() : nullptr;
}

net::HttpResponse task_page(Server& server, const std::string& text) {
  const State& state = server.state();
  const Task* ts = find_task(state, text);
  if (!ts)
    return html_response(html::page("No such task", kTop,
                                    "<p>The scheduler does not know a task " + html::escape(text) + "; it may have been released.</p>"),
                         404);
  std::string body = "<table>\n" + html::row("State", name_of(ts->state));
  body += html::row("Prefix", html::escape(state.prefix(ts->prefix).name)) + html::row("Group", html::escape(state.group(ts->group).name));
  if (ts->nbytes >= 0) body += html::row("Size", html::bytes(static_cast<double>(ts->nbytes)));
  if (const std::string& type = state.typename_of(*ts); !type.empty()) body += html::row("Type", html::escape(type));
  if (ts->processing_on.valid()) body += html::row("Processing on", worker_link(state.worker(ts->processing_on)));
  std::string holders, wanters;
  for (const Holder& h : ts->who_has) holders += worker_link(state.worker(h.worker)) + " ";
  for (const Want& want : ts->who_wants) wanters += html::escape(state.client(want.client).name) + " ";
  if (!holders.empty()) body += html::row("In memory on", holders);
  if (!wanters.empty()) body += html::row("Wanted by", wanters);
  if (ts->has_priority)
    body += html::row("Priority", fmt::format("({}, {}, {})", ts->priority.user, ts->priority.generation, ts->priority.order));
  body += html::row("Retries left", std::to_string(ts->retries)) + html::row("Suspicious", std::to_string(ts->suspicious));
  body += html::row("Dependencies",
                    task_list(ts->dependencies.size(), [&](std::size_t i) -> const Task& { return state.task(ts->dependencies[i].task); }));
  body += html::row("Dependents",
                    task_list(ts->dependents.size(), [&](std::size_t i) -> const Task& { return state.task(ts->dependents[i].task); }));
  body += "</table>\n";
  if (const Failure* failure = failure_of(state, *ts))
    body += "<h2>Failure</h2>\n<pre>" + html::escape(failure->exception_text) + "\n" + html::escape(failure->traceback_text) + "</pre>\n";
  body += "<h2>Story</h2>\n<table><tr><th>Time</th><th>From</th><th>To</th><th>Stimulus</th></tr>\n";
  for (const TransitionRecord& record : server.machine().story({std::string(ts->key.msgpack())}))
    body += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", html::time(record.time), name_of(record.start),
                        name_of(record.finish), html::escape(record.stimulus_id));
  return html_response(html::page("Task " + text, kTop, body + "</table>"));
}

net::HttpResponse exceptions_page(Server& server) {
  const State& state = server.state();
  std::string rows;
  std::size_t shown = 0, erred = 0;
  state.for_each_task([&](const Task& ts) {
    if (ts.state != TaskState::kErred || !ts.extra || !ts.extra->failure) return;
    if (++erred > kListed) return;
    ++shown;
    rows += fmt::format("<tr><td>{}</td><td><pre>{}\n{}</pre></td></tr>\n", task_link(ts), html::escape(ts.extra->failure->exception_text),
                        html::escape(ts.extra->failure->traceback_text));
  });
  std::string body = fmt::format("<p>{} tasks failed themselves", erred) +
                     (erred > shown ? fmt::format("; the first {} are shown", shown) : "") + ".</p>\n";
  return html_response(html::page("Exceptions", kTop, body + "<table><tr><th>Task</th><th>Exception</th></tr>\n" + rows + "</table>"));
}

net::HttpResponse logs_page() {
  std::string body = "<pre>";
  for (const LogRecord& record : log_records(kListed)) body += html::escape(record.line) + "\n";
  return html_response(html::page("Logs", kTop, body + "</pre>"));
}

void worker_logs_page(Server& server, const std::string& address, net::HttpReply reply) {
  if (!server.state().find_worker(address))
    return reply(html_response(html::page("No such worker", kTop, "<p>There is no worker at " + html::escape(address) + ".</p>"), 404));
  server.rpc().call(address, Value(Value::Map{{"op", "get_logs"}, {"reply", true}}), [address, reply](Result<Value> answer) {
    if (!answer)
      return reply(html_response(
          html::page("Logs of " + address, kTop, "<p>The worker did not answer: " + html::escape(answer.error().message) + "</p>"), 502));
    std::string body = "<pre>";
    if (const Value::Array* lines = answer->array_if())  // [[level, line], ...], newest first
      for (auto line = lines->rbegin(); line != lines->rend(); ++line)
        if (const Value::Array* parts = line->array_if(); parts && parts->size() == 2) body += html::escape((*parts)[1].as_string()) + "\n";
    reply(html_response(html::page("Logs of " + address, kTop, body + "</pre>")));
  });
}

// The name in "/info/task/<name>.html"; false when the path is no such one.
bool named(std::string_view path, std::string_view folder, std::string& name) {
  constexpr std::string_view kEnd = ".html";
  if (!path.starts_with(folder) || !path.ends_with(kEnd) || path.size() <= folder.size() + kEnd.size()) return false;
  name = path.substr(folder.size(), path.size() - folder.size() - kEnd.size());
  return true;
}

}  // namespace

void add_info_routes(Server& server, Routes& routes) {
  routes.get("/info", [](const net::HttpRequest&, net::HttpReply reply) { reply(redirect_response("info/main/workers.html")); });
  routes.get("/info/main/workers.html", [&server](const net::HttpRequest&, net::HttpReply reply) { reply(workers_page(server)); });
  routes.get("/info/main/exceptions.html", [&server](const net::HttpRequest&, net::HttpReply reply) { reply(exceptions_page(server)); });
  routes.get("/info/main/logs.html", [](const net::HttpRequest&, net::HttpReply reply) { reply(logs_page()); });
  routes.get("/info/*", [&server, prefix = routes.prefix()](const net::HttpRequest& request, net::HttpReply reply) {
    const std::string path = local_path(prefix, request.path);
    std::string name;
    if (named(path, "/info/worker/", name)) return reply(worker_page(server, name));
    if (named(path, "/info/task/", name)) return reply(task_page(server, name));
    if (named(path, "/info/logs/", name)) return worker_logs_page(server, name, std::move(reply));
    reply(text_response("no such page: " + request.path + "\n", 404));
  });
}

}  // namespace dask::scheduler
