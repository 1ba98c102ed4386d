// /health: the loop turns. /ready: graphs can be taken as well; until then the answer says what is missing.
#include "scheduler/server/http_routes.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {

void add_health_routes(Server& server, Routes& routes) {
  routes.get("/health", [](const net::HttpRequest&, net::HttpReply reply) { reply(text_response("ok")); });
  routes.get("/ready", [&server](const net::HttpRequest&, net::HttpReply reply) {
    if (server.closing()) return reply(text_response("not ready: the scheduler is closing\n", 503));
    if (!server.graphs().ready())
      return reply(
          text_response("not ready: the graph helper (" + server.options().python +
                            ") has not started yet; if this lasts, see the log: the Python must have the clients' dask and distributed\n",
                        503));
    reply(text_response("ready"));
  });
}

}  // namespace dask::scheduler
