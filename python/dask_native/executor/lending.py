"""Large blobs that stay where they are: the worker copies them out of this process's memory when it needs them, and this process copies
the worker's (process_vm_readv). worker/execute/lending.h is the other side.

Thread safety: single operations of dicts are atomic; lend() is called by one thread at a time.
"""

from __future__ import annotations

import ctypes
import logging
import os
import pickle
import weakref
from collections.abc import Iterable
from typing import Any

logger = logging.getLogger("distributed.worker")

# Smaller blobs pass the socket: lending costs a message in return.
LENT_BYTES_MIN = 1 << 20


class _Buffer(ctypes.Structure):
    """Py_buffer: while it is held, the memory stays where it is."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in ("format", "shape", "strides", "suboffsets", "internal")),
    )

    def __init__(self, data: Any):
        super().__init__()
        ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(data), ctypes.byref(self), 0)

    def release(self) -> None:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(self))


class _Vector(ctypes.Structure):
    """struct iovec"""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class Lending:
    """What the worker may read here, and reading there. Without the worker's probe nothing is lent and nothing can be borrowed."""

    def __init__(self) -> None:
        self._lent: dict[int, _Buffer] = {}
        self._last_lease = 0
        self._worker = 0
        self._probe = ctypes.c_uint64(0)
        self._courier: int | None = None
        self._library: Any = None

    def try_out(self, probe: dict, courier: dict | None = None) -> list:
        """Finds out whether the worker's memory can be read. The answer lets it try the same here, and says whether the courier is there:
        the thread that sends what is lent without Python."""
        self._worker = probe["pid"]
        self._probe.value = probe["value"]
        seen = ctypes.c_uint64(0)
        try:
            self._copy(probe["address"], ctypes.addressof(seen), ctypes.sizeof(seen))
        except (OSError, AttributeError):  # the kernel refuses, or the C library has no such function
            pass
        return ["lending", seen.value == probe["value"], os.getpid(), ctypes.addressof(self._probe), self._start_courier(courier)]

    def _start_courier(self, courier: dict | None) -> bool:
        if courier is None:
            return False
        os.set_inheritable(courier["fd"], False)
        try:
            library = ctypes.CDLL(courier["library"])
        except OSError as e:  # of another C library, perhaps
            logger.info("Large data is sent by the worker, since the courier cannot be loaded: %s", e)
            os.close(courier["fd"])
            return False
        library.dask_courier_start.restype = ctypes.c_void_p
        library.dask_courier_keep.argtypes = library.dask_courier_let_go.argtypes = (ctypes.c_void_p, ctypes.c_uint64)
        library.dask_courier_let_go.restype = None
        self._library = library
        self._courier = library.dask_courier_start(courier["fd"])
        return self._courier is not None

    def lend(self, data: Any) -> tuple[int, int, int]:
        """Lease, address and size; the memory stays until the lease is taken back."""
        buffer = _Buffer(data)
        self._last_lease += 1
        self._lent[self._last_lease] = buffer
        return self._last_lease, buffer.buf, buffer.len

    def take_back(self, lease: int) -> None:
        buffer = self._lent.pop(lease, None)
        if buffer is not None:
            buffer.release()

    def borrow(self, address: int, size: int) -> Any:
        """A copy of the worker's bytes, in writable memory of its own."""
        from distributed.protocol.utils import host_array

        data = host_array(size)
        here = _Buffer(data)
        try:
            self._copy(address, here.buf, size)
        finally:
            here.release()
        return data

    def block(self, address: int, size: int, block: int) -> memoryview:
        """What the courier has received into this process. The memory is given back with the last use of it here and by the worker."""
        library, courier = self._library, self._courier
        if courier is None or library.dask_courier_keep(courier, block) != 0:
            raise OSError(f"the courier has no block {block}")
        memory = (ctypes.c_char * size).from_address(address)
        weakref.finalize(memory, library.dask_courier_let_go, courier, block).atexit = False
        return pickle.PickleBuffer(memory).raw()

    def _copy(self, address: int, to: int, size: int) -> None:
        read = ctypes.CDLL(None, use_errno=True).process_vm_readv
        read.restype = ctypes.c_ssize_t
        read.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)
        while size > 0:
            n = read(self._worker, ctypes.byref(_Vector(to, size)), 1, ctypes.byref(_Vector(address, size)), 1, 0)
            if n <= 0:
                raise OSError(ctypes.get_errno(), "cannot read the worker's memory")
            address, to, size = address + n, to + n, size - n


def sizes(lengths: Iterable) -> int:
    """How many bytes of these blobs follow in the message: those that are lent are a tuple (lease, address, size)."""
    return sum(length for length in lengths if type(length) is int)
