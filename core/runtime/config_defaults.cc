// The values of distributed.yaml and dask.yaml (2026.8) for the scheduler, the worker and what both share.
#include "core/runtime/config_defaults.h"

namespace dask {

std::string_view config_defaults_yaml() {
  return R"(
temporary-directory: null
distributed:
  version: 2
  scheduler:
    allowed-failures: 3
    bandwidth: 100000000
    blocked-handlers: []
    contact-address: null
    default-data-size: 1kiB
    reuse-broadcast-comm: true
    events-cleanup-delay: 1h
    idle-timeout: null
    no-workers-timeout: null
    work-stealing: true
    work-stealing-interval: 1s
    worker-saturation: 1.1
    rootish-taskgroup: 5
    rootish-taskgroup-dependencies: 5
    worker-ttl: 5 minutes
    preload: []
    preload-argv: []
    unknown-task-duration: 500ms
    default-task-durations:
      rechunk-split: 1us
      split-shuffle: 1us
      split-taskshuffle: 1us
      split-stage: 1us
    validate: false
    dashboard:
      status:
        task-stream-length: 1000
      tasks:
        task-stream-length: 100000
      tls:
        ca-file: null
        key: null
        cert: null
      bokeh-application:
        allow_websocket_origin: ["*"]
        keep_alive_milliseconds: 500
        check_unused_sessions_milliseconds: 500
    locks:
      lease-validation-interval: 10s
      lease-timeout: 30s
    allowed-imports: [dask, distributed]
    active-memory-manager:
      start: true
      interval: 2s
      measure: optimistic
      policies:
        - class: distributed.active_memory_manager.ReduceReplicas
  worker:
    blocked-handlers: []
    transfer:
      message-bytes-limit: 50MB
    connections:
      outgoing: 50
      incoming: 10
    preload: []
    preload-argv: []
    validate: false
    resources: {}
    lifetime:
      duration: null
      stagger: 0 seconds
      restart: false
    memory:
      recent-to-old-time: 30s
      rebalance:
        measure: optimistic
        sender-min: 0.30
        recipient-max: 0.60
        sender-recipient-gap: 0.10
      transfer: 0.10
      target: 0.60
      spill: 0.70
      pause: 0.80
      terminate: 0.95
      max-spill: false
      spill-compression: auto
      monitor-interval: 100ms
  nanny:
    preload: []
    preload-argv: []
    environ: {}
    pre-spawn-environ:
      MALLOC_TRIM_THRESHOLD_: 65536
      OMP_NUM_THREADS: 1
      MKL_NUM_THREADS: 1
      OPENBLAS_NUM_THREADS: 1
  client:
    heartbeat: 5s
    scheduler-info-interval: 2s
  deploy:
    lost-worker-timeout: 15s
    cluster-repr-interval: 500ms
  adaptive:
    interval: 1s
    target-duration: 5s
    minimum: 0
    maximum: .inf
    wait-count: 3
  comm:
    retry:
      count: 0
      delay:
        min: 1s
        max: 20s
    compression: false
    shard: 64MiB
    offload: 10MiB
    default-scheme: tcp
    socket-backlog: 2048
    timeouts:
      connect: 30s
      tcp: 30s
    require-encryption: null
    tls:
      ciphers: null
      min-version: 1.2
      max-version: null
      ca-file: null
      scheduler:
        cert: null
        key: null
      worker:
        key: null
        cert: null
      client:
        key: null
        cert: null
    websockets:
      shard: 8MiB
  diagnostics:
    nvml: true
    computations:
      max-history: 100
      nframes: 0
    erred-tasks:
      max-history: 100
  p2p:
    comm:
      buffer: 1 GiB
      concurrency: 10
      message-bytes-limit: 2 MiB
      retry:
        count: 10
        delay:
          min: 1s
          max: 30s
    storage:
      buffer: 100 MiB
      disk: true
    threads: null
  dashboard:
    link: "{scheme}://{host}:{port}/status"
    export-tool: false
    graph-max-items: 5000
    prometheus:
      namespace: dask
  admin:
    large-graph-warning-threshold: 10MB
    tick:
      interval: 20ms
      limit: 3s
      cycle: 1s
    max-error-length: 10000
    log-length: 10000
    log-format: '%(asctime)s - %(name)s - %(levelname)s - %(message)s'
    low-level-log-length: 1000
    pdb-on-err: false
    system-monitor:
      interval: 500ms
      log-length: 7200
      disk: true
      host-cpu: false
      gil:
        enabled: true
        interval: 1ms
    event-loop: tornado
)";
}

}  // namespace dask
