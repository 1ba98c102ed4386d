"""The pipe between a C++ program and its Python child: messages of a msgpack head and raw blobs.

On the pipe: u64 length, then that many bytes: u32 head length, the head (a msgpack map whose "blobs" lists the blobs'
lengths), the blobs one after the other. All integers are little-endian. scheduler/graph/PROTOCOL.md says what is sent.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import msgpack

# A reader never allocates more than this for one message.
MESSAGE_BYTES_MAX = 1 << 40
# Parts up to here are joined before they are sent: fewer system calls; larger ones are not copied.
JOIN_BYTES_MAX = 64 * 1024


class PipeClosed(Exception):
    """The other side is gone; there is nobody left to work for."""


def send_parts(connection: socket.socket, parts: list[Any]) -> None:
    """Sends buffers one after the other: small ones joined, large ones from where they are."""
    small: list[Any] = []
    for part in parts:
        if len(part) <= JOIN_BYTES_MAX:
            small.append(part)
            continue
        if small:
            connection.sendall(b"".join(small))
            small = []
        connection.sendall(part)
    if small:
        connection.sendall(b"".join(small))


class Pipe:
    """Blocking messages over a connected stream socket. One thread sends and receives."""

    def __init__(self, fd: int):
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(True)
        self._out: list[Any] = []
        self.at_exit: Callable[[], None] = lambda: None  # called before the process ends with the pipe

    def exit_when_closed(self) -> None:
        """Ends this process as soon as the other side is gone, even while user code runs and never reads."""
        poller = select.poll()
        poller.register(self._socket.fileno(), select.POLLRDHUP)

        def watch() -> None:
            while not poller.poll():
                pass
            self.at_exit()
            os._exit(0)

        threading.Thread(target=watch, name="pipe-watch", daemon=True).start()

    def receive(self) -> tuple[dict, list[memoryview]]:
        (size,) = struct.unpack("<Q", self._read(8))
        if not 4 <= size <= MESSAGE_BYTES_MAX:
            raise PipeClosed(f"a message announces {size} bytes")
        body = self._read(size)
        (head_size,) = struct.unpack_from("<I", body)
        head = msgpack.unpackb(body[4 : 4 + head_size], use_list=False, strict_map_key=False)
        blobs = []
        offset = 4 + head_size
        for length in head.get("blobs", ()):
            blobs.append(body[offset : offset + length])
            offset += length
        return head, blobs

    def has_input(self, timeout_s: float = 0) -> bool:
        """Whether there is something to receive, or the other side is gone; waits for it up to `timeout_s`."""
        return bool(select.select([self._socket], [], [], timeout_s)[0])

    def send(self, head: dict, blobs: list = []) -> None:  # noqa: B006 (never changed)
        """Queues one message; flush() sends it."""
        head = {**head, "blobs": [len(blob) for blob in blobs]}
        packed = msgpack.packb(head, use_bin_type=True)
        size = 4 + len(packed) + sum(head["blobs"])
        self._out.append(struct.pack("<QI", size, len(packed)) + packed)
        self._out.extend(blobs)

    def flush(self) -> None:
        out, self._out = self._out, []
        try:
            send_parts(self._socket, out)
        except OSError as e:
            raise PipeClosed(str(e)) from e

    def _read(self, size: int) -> memoryview:
        buffer = bytearray(size)
        view = memoryview(buffer)
        done = 0
        while done < size:
            try:
                n = self._socket.recv_into(view[done:])
            except OSError as e:
                raise PipeClosed(str(e)) from e
            if n == 0:
                raise PipeClosed("end of the pipe")
            done += n
        return view
