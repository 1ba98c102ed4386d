"""Messages between the worker and its executor, many at a time.

On the socket: u64 length, then that many bytes: u32 head length, the head, the blobs one after the other. The head is msgpack:
[[lengths of the blobs], [messages]]; a message is an array that begins with its operation, and says how many blobs it takes:
blobs are used in the order in which messages name them. In place of its length a large blob may have [lease, address, size]: it does
not follow, but is copied out of the other side's memory; one that was received here already has [lease, address, size, block]. All integers
outside msgpack are little-endian.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgpack

from dask_native._pipe import send_parts
from dask_native.executor.lending import LENT_BYTES_MIN, Lending, sizes

# Never allocated for one message, whatever its length says.
MESSAGE_BYTES_MAX = 1 << 40
# Blobs from here on get memory of their own: what is unpacked from them in place keeps nothing else alive.
OWN_MEMORY_BYTES_MIN = 16 * 1024
INPUT_BYTES = 256 * 1024
# Messages put off by post(more=True) leave at the latest after this many, or this long.
POSTED_MAX = 64
POSTED_SECONDS_MAX = 0.001
# What nobody flushed, because its thread went on with something long, leaves after this time.
LEFT_BEHIND_SECONDS = 0.002


class ChannelClosed(Exception):
    """The worker is gone; there is nobody left to work for."""


class Blobs:
    """The blobs of one batch, taken one after the other."""

    def __init__(self, blobs: list):
        self._blobs = blobs
        self._next = 0

    def take(self, n: int) -> list:
        at = self._next
        self._next = at + n
        if self._next > len(self._blobs):
            raise ChannelClosed("a message names blobs that are not there")
        return self._blobs[at : self._next]


class Channel:
    """One thread receives; any thread sends."""

    def __init__(self, fd: int, on_closed: Callable[[], None]):
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(True)
        self._on_closed = on_closed
        self._input = bytearray(INPUT_BYTES)
        self._start = self._end = 0
        self.lending = Lending()
        self._out: deque[tuple[list, Any, bool]] = deque()
        self._sending = threading.Lock()
        self._packer = msgpack.Packer(use_bin_type=True)  # one for all: each has a buffer of many pages
        self._oldest = 0.0
        self._left_behind = threading.Event()
        threading.Thread(target=self._send_what_is_left_behind, name="executor-flush", daemon=True).start()

    # ---- receiving ----

    def receive(self) -> tuple[list, Blobs]:
        """The next batch. Raises ChannelClosed."""
        size, head_size = struct.unpack("<QI", self._take(12))
        if not head_size + 4 <= size <= MESSAGE_BYTES_MAX:
            raise ChannelClosed(f"a message announces {size} bytes with a head of {head_size}")
        lengths, messages = msgpack.unpackb(self._take(head_size), use_list=False, strict_map_key=False)
        if sizes(lengths) != size - 4 - head_size:
            raise ChannelClosed("the blobs of a message do not fill it")
        return messages, Blobs(self._take_blobs(lengths))

    def _take_blobs(self, lengths: tuple) -> list:
        blobs, returned = [], []
        for length in lengths:
            if type(length) is int:
                blobs.append(self._take_blob(length))
            else:
                lease, address, size, *block = length
                blobs.append(self.lending.block(address, size, *block) if block else self.lending.borrow(address, size))
                returned.append(lease)
        if returned:
            self.send(["returned", returned])
        return blobs

    def _take(self, size: int) -> Any:
        """The next bytes, valid until the next call."""
        if size > INPUT_BYTES:
            return self._take_blob(size)
        while self._end - self._start < size:
            if self._start:
                rest = self._end - self._start
                self._input[:rest] = self._input[self._start : self._end]
                self._start, self._end = 0, rest
            self._end += self._read(memoryview(self._input)[self._end :])
        at = self._start
        self._start += size
        return memoryview(self._input)[at : self._start]

    def _take_blob(self, size: int) -> Any:
        """The next bytes, in writable memory of their own."""
        if size < OWN_MEMORY_BYTES_MIN:
            return bytearray(self._take(size))
        from distributed.protocol.utils import host_array

        view = host_array(size)
        done = min(size, self._end - self._start)
        view[:done] = memoryview(self._input)[self._start : self._start + done]
        self._start += done
        while done < size:
            done += self._read(view[done:])
        return view

    def _read(self, into: memoryview) -> int:
        try:
            n = self._socket.recv_into(into)
        except OSError as e:
            raise ChannelClosed(str(e)) from e
        if n == 0:
            raise ChannelClosed("end of the socket")
        return n

    # ---- sending ----

    def send(self, message: list, blobs: Any = (), lend: bool = False) -> None:
        """Sends a message, behind those that were posted. Does not wait while another thread sends: that one takes it along.
        With `lend` large blobs stay here until the worker gives them back."""
        self._out.append((message, blobs, lend))
        self.flush()

    def post(self, message: list, more: bool) -> None:
        """Sends a message now, or a little later when `more` is likely to follow at once."""
        out = self._out
        if not out:
            self._oldest = time.monotonic()
        out.append((message, (), False))
        if not more or len(out) >= POSTED_MAX or time.monotonic() - self._oldest > POSTED_SECONDS_MAX:
            self.flush()
        elif not self._left_behind.is_set():
            self._left_behind.set()

    def flush(self) -> None:
        while self._out:
            if not self._sending.acquire(blocking=False):
                return  # whoever sends looks again when done
            try:
                self._send_all()
            finally:
                self._sending.release()

    def drain(self) -> None:
        """Returns when everything has been handed to the kernel."""
        with self._sending:
            self._send_all()

    def _send_all(self) -> None:
        messages: list = []
        lengths: list[Any] = []
        parts: list = []
        out = self._out
        while out:
            message, blobs, lend = out.popleft()
            messages.append(message)
            for blob in blobs:
                if type(blob) is memoryview:  # of numbers, perhaps: their count is not their length
                    blob = bytes_of(blob)
                if lend and len(blob) >= LENT_BYTES_MIN:
                    lengths.append(self.lending.lend(blob))
                    continue
                lengths.append(len(blob))
                parts.append(blob)
        if not messages:
            return
        try:
            head = self._packer.pack((lengths, messages))
        except Exception:  # a message of ours with something in it that msgpack cannot carry: only that one fails
            head = self._packer.pack((lengths, list(map(_sendable, messages))))
        start = struct.pack("<QI", 4 + len(head) + sizes(lengths), len(head))
        try:
            send_parts(self._socket, [start, head, *parts])
        except OSError:
            self._on_closed()

    def _send_what_is_left_behind(self) -> None:
        while True:
            self._left_behind.wait()
            time.sleep(LEFT_BEHIND_SECONDS)
            self._left_behind.clear()
            self.flush()


def bytes_of(view: memoryview) -> memoryview:
    if view.format == "B" and view.ndim == 1 and view.contiguous:
        return view
    from distributed.utils import ensure_memoryview

    return ensure_memoryview(view)


def _sendable(message: list) -> list:
    try:
        msgpack.packb(message, use_bin_type=True)
        return message
    except Exception as e:
        return ["broken", message[0], message[1] if isinstance(message[1], int) else -1, clean_text(f"{type(e).__name__}: {e}")]


def clean_text(text: str) -> str:
    """Text that msgpack can carry: lone surrogates (undecodable file names) become escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
