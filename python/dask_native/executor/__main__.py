"""Starts the executor: `python -m dask_native.executor --fd N`, where N is the socket to the worker."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import traceback


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m dask_native.executor")
    parser.add_argument("--fd", type=int, required=True, help="the connected socket to serve")
    fd = parser.parse_args().fd
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.set_inheritable(fd, False)
    try:
        from dask_native.executor.channel import Channel, ChannelClosed, clean_text
        from dask_native.executor.service import end_process, exit_code
    except ImportError as e:  # the last line of the output is what people see
        sys.exit(f"{sys.executable} cannot run tasks, {e}: it needs the packages dask and distributed of the clients.")

    channel = Channel(fd, on_closed=lambda: os._exit(0))
    try:
        messages, _ = channel.receive()
    except ChannelClosed:
        os._exit(0)
    try:
        asyncio.run(_serve(channel, messages[0][1]))
        raise RuntimeError("the executor came to an end that it has not")
    except (SystemExit, KeyboardInterrupt) as e:  # of user code on the loop's thread
        code = exit_code(e)
    except BaseException as e:
        traceback.print_exc()
        channel.send(["cannot-start", clean_text(f"{type(e).__name__}: {e}")])
        code = 1
    channel.drain()
    end_process(code)


async def _serve(channel, options: dict) -> None:
    # Before distributed is imported: it reads its configuration then.
    import dask.config

    if options.get("config"):
        dask.config.update(dask.config.config, options["config"], priority="new")
    from dask_native.executor.service import Service

    await Service(channel, options).serve()


if __name__ == "__main__":
    main()
