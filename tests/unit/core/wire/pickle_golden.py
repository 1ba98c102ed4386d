"""Writes pickle_golden.inc: pickles of plain values by Python's own pickler, with their repr (lists as tuples, as Value has it).

.venv/bin/python tests/unit/core/wire/pickle_golden.py > tests/unit/core/wire/pickle_golden.inc
"""

import pickle

SHARED = ["shared"]
VALUES = [
    None,
    True,
    False,
    0,
    -1,
    255,
    65535,
    2**31,
    2**40,
    -(2**40),
    -(2**63),
    2**64 - 1,
    1.5,
    -0.0,
    1e300,
    "",
    "h\xe9",
    "x" * 300,
    b"\0\xff",
    b"y" * 300,
    bytearray(b"ab"),
    [1, [2]],
    (),
    (1,),
    (1, 2),
    (1, 2, 3),
    (1, 2, 3, 4),
    list(range(5)),
    {"a": 1, (1, "b"): None},
    {},
    {1},
    frozenset(),
    [SHARED, SHARED, {"again": SHARED}],
]


def literal(data: bytes) -> str:
    text = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in data)
    return f'"{text}"sv'


def plain(value):
    if isinstance(value, (list, tuple)):
        return tuple(plain(v) for v in value)
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    return set(value) if isinstance(value, frozenset) else bytes(value) if isinstance(value, bytearray) else value


for value in VALUES:
    for protocol in (2, 4, 5):
        if protocol < 4 and isinstance(value, (bytes, bytearray, set, frozenset)):
            continue  # written as calls of functions, which are refused
        if protocol < 5 and isinstance(value, bytearray):
            continue
        print(f"{{{literal(pickle.dumps(value, protocol))}, {literal(repr(plain(value)).encode())}}},")
