// The scheduler's HTTP routes: /health, /ready, /metrics, /json/*, /api/v1/*, and the live page.
#pragma once

#include "core/net/http.h"

namespace dask::scheduler {

class Server;

void add_routes(Server& server, net::HttpServer& http);

}  // namespace dask::scheduler
