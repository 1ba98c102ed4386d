// The live page: its files (dashboard/), the paths that show all or one of its panes, and the data. A viewer asks over a
// WebSocket for the next snapshot when it is ready for one, so nothing is computed while nobody looks and a slow browser is
// never flooded; GET /json/status.json gives the same to pages whose WebSocket is cut off.
#include <cstdlib>
#include <set>

#include "dashboard/files.h"
#include "scheduler/server/http_routes.h"
#include "scheduler/server/server.h"
#include "scheduler/server/status_snapshot.h"

namespace dask::scheduler {
namespace {

constexpr auto kUpdateInterval_min = std::chrono::milliseconds(100);  // sooner requests wait
// Dask's pages that this one has panes for, with the names that dask-labextension shows.
constexpr std::pair<const char*, const char*> kIndividualPages[] = {
    {"/individual-task-stream", "Task Stream"},
    {"/individual-progress", "Progress"},
    {"/individual-workers", "Workers"},
    {"/individual-workers-memory", "Workers Memory"},
    {"/individual-cluster-memory", "Cluster Memory"},
    {"/individual-cpu", "CPU"},
    {"/individual-nprocessing", "Nprocessing"},
    {"/individual-occupancy", "Occupancy"},
    {"/individual-memory-by-key", "Memory By Key"},
    {"/individual-compute-time-per-key", "Compute Time Per Key"},
    {"/individual-scheduler-log", "Scheduler Log"},
};
constexpr const char* kPages[] = {"/status", "/workers", "/tasks", "/system"};

constexpr const char* kSwitchedOff =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Dask: dashboard off</title></head><body>\n"
    "<h1>The dashboard is switched off</h1>\n<p>The scheduler was started with <code>--no-dashboard</code>. <a href=\"health\">health</a>, "
    "<a href=\"metrics\">metrics</a>, "
    "<a href=\"json/counts.json\">json/counts.json</a>, <a href=\"info/main/workers.html\">info</a> and <code>api/v1</code> are still "
    "served.</p>\n</body></html>\n";

net::HttpResponse file_response(const dashboard::File& file) {
  net::HttpResponse response = text_response(std::string(file.content));
  response.content_type = file.content_type;
  response.headers["Cache-Control"] = "no-cache";
  response.headers["X-Content-Type-Options"] = "nosniff";
  response.headers["Content-Security-Policy"] =
      "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws: wss:";
  return response;
}

// The open pages. Each asks with any text and gets one snapshot.
class Viewers : public std::enable_shared_from_this<Viewers> {
 public:
  explicit Viewers(Server& server) : server_(server) {}

  void opened(net::WebSocketPtr socket) {
    auto viewer = std::make_shared<Viewer>();
    viewer->socket = std::move(socket);
    viewers_.insert(viewer);
    // The socket's handlers know the viewer weakly: this set alone keeps both alive.
    viewer->socket->on_text([this, known = std::weak_ptr<Viewer>(viewer)](const std::string&) {
      if (auto asking = known.lock()) asked(asking);
    });
    viewer->socket->on_closed([this, known = std::weak_ptr<Viewer>(viewer)] {
      auto gone = known.lock();
      if (!gone) return;
      viewers_.erase(gone);
      server_.loop().post([gone] {});  // this handler is the socket's own
    });
    answer(*viewer);
  }

 private:
  struct Viewer {
    net::WebSocketPtr socket;
    StatusCursor cursor;
    double answered = 0;
    bool waiting = false;
    net::Loop::Timer timer;
  };

  void asked(const std::shared_ptr<Viewer>& viewer) {
    if (viewer->waiting) return;
    const double interval = std::chrono::duration<double>(kUpdateInterval_min).count();
    const double since = server_.now() - viewer->answered;
    if (since < 0 || since >= interval) return answer(*viewer);
    viewer->waiting = true;
    viewer->timer = server_.loop().after(kUpdateInterval_min, [this, known = std::weak_ptr<Viewer>(viewer)] {
      if (auto asking = known.lock()) answer(*asking);
    });
  }
  void answer(Viewer& viewer) {
    viewer.waiting = false;
    viewer.answered = server_.now();
    viewer.socket->send(status_json(server_, viewer.cursor));
  }

  Server& server_;
  std::set<std::shared_ptr<Viewer>> viewers_;
};

// ?stream=<index>&log=<time>: what the page has already.
void poll(Server& server, const net::HttpRequest& request, net::HttpReply reply) {
  StatusCursor cursor;
  if (auto stream = request.query.find("stream"); stream != request.query.end() && !stream->second.empty()) {
    cursor.stream_started = true;
    cursor.stream_index = std::strtoull(stream->second.c_str(), nullptr, 10);
  }
  if (auto log = request.query.find("log"); log != request.query.end()) cursor.log_time = std::strtod(log->second.c_str(), nullptr);
  reply(json_response(status_json(server, cursor)));
}

}  // namespace

void add_live_page(Server& server, Routes& routes) {
  const bool on = server.options().dashboard;
  const auto page = [on](const net::HttpRequest&, net::HttpReply reply) {
    if (!on) return reply(html_response(kSwitchedOff, 404));
    reply(file_response(*dashboard::find("index.html")));
  };
  Value::Map plots;
  for (const char* path : kPages) routes.get(path, page);
  for (const auto& [path, title] : kIndividualPages) {
    routes.get(path, page);
    if (on) plots.emplace_back("Individual " + std::string(title), path);
  }
  routes.get("/individual-plots.json", [plots](const net::HttpRequest&, net::HttpReply reply) { reply(json_response(Value(plots))); });
  if (!on) return;

  routes.get("/statics/*", [](const net::HttpRequest& request, net::HttpReply reply) {
    const dashboard::File* file = dashboard::find(std::string_view(request.path).substr(request.path.rfind('/') + 1));
    if (!file) return reply(text_response("no such file: " + request.path + "\n", 404));
    reply(file_response(*file));
  });
  routes.get("/json/status.json",
             [&server](const net::HttpRequest& request, net::HttpReply reply) { poll(server, request, std::move(reply)); });
  routes.websocket("/ws/status",
                   [viewers = std::make_shared<Viewers>(server)](net::WebSocketPtr socket) { viewers->opened(std::move(socket)); });
}

}  // namespace dask::scheduler
