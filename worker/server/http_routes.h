// The worker's HTTP routes: /health, /metrics with Dask's names, /sitemap.json. Handlers must not outlive the Worker.
#pragma once

#include <memory>

#include "core/net/http.h"

namespace dask::worker {

class Worker;

void add_routes(Worker& worker, net::HttpServer& http);

}  // namespace dask::worker
