"""Proxy: a TCP address in front of another one, whose connections can be cut or held up: the fault that no signal makes.

Each proxy has a thread of its own, in which everything runs; cut() and hold() may be called from any thread.
"""

import asyncio
import contextlib
import threading

CHUNK_BYTES = 1 << 18


class Proxy:
    """Listens on 127.0.0.1:`port` (0: any). `target` may be set later: until then connections are refused."""

    def __init__(self, target=None):
        self.target = target
        self.port = None
        self._open = asyncio.Event()
        self._writers = set()
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="chaos-proxy", daemon=True)
        self._thread.start()
        ready.wait()

    def cut(self):
        """Resets all connections there are; new ones are served."""
        self._loop.call_soon_threadsafe(self._cut)

    def hold(self, seconds):
        """Lets nothing through for so long."""
        self._loop.call_soon_threadsafe(self._hold, seconds)

    def close(self):
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, ready):
        asyncio.set_event_loop(self._loop)
        self._open.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        self._cut()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def _cut(self):
        for writer in list(self._writers):
            writer.transport.abort()

    def _hold(self, seconds):
        self._open.clear()
        self._loop.call_later(seconds, self._open.set)

    async def _serve(self, reader, writer):
        if self.target is None:
            writer.transport.abort()
            return
        try:
            to_reader, to_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, to_writer}
        self._writers |= pair
        try:
            await asyncio.gather(self._pump(reader, to_writer), self._pump(to_reader, writer))
        except (OSError, asyncio.CancelledError):  # cut, or the end of the proxy
            pass
        finally:
            self._writers -= pair
            for one in pair:
                one.transport.abort()

    async def _pump(self, reader, writer):
        while data := await reader.read(CHUNK_BYTES):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
