"""The executor: the child interpreter of a native worker, in which Python tasks run and their live results stay.

Started as `python -m dask_native.executor --fd N` by worker/execute/python_executor.cc; worker/execute/PROTOCOL.md says what
passes over that socket. Whatever tasks do here (hold the GIL, leak, crash) cannot stop the worker itself.

  channel   messages in batches over the socket
  store     what is held under which key, unpacked when it is first used
  tasks     runs one task with distributed's own code and reports how it went
  sampler   the profile of running tasks
  shim      the Worker that get_worker() gives to tasks
  service   the process: threads, requests, start and end
"""
