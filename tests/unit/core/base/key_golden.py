"""Writes key_golden.inc: what Python says of many keys (str, repr, dask's key_split, distributed's key_split_group).

.venv/bin/python tests/unit/core/base/key_golden.py > tests/unit/core/base/key_golden.inc
"""

import msgpack
from dask.utils import key_split
from distributed.utils import key_split_group

KEYS = [
    "x",
    "x-1",
    "x-1-2-3",
    "('x-2', 1)",
    "('x', 1)",
    "hello-world-1",
    b"hello-world-1",
    "ae05086432ca935f6eba409a8ecd4896",
    "<module.submodule.myclass object at 0xdaf372",
    "x-abcdefab",
    "x-database",
    "x-zatabase",
    "_(x)",
    "_",
    "-x",
    "x--y",
    "_-abc",
    "x-\xc4bc-1",
    "\xe9-1",
    "1,2-foo",
    "(a,b)-c-d",
    "<>",
    "< a.b >",
    "<a.",
    "<a.>-b",
    "\"q'-w",
    "x-abcdefgh",
    "x-Abcdefab",
    "x-abcdefabc",
    ("x-2", 1),
    ("inc-0123456789abcdef0123456789abcdef", 0),
    (("a-b-1", 2), 3),
    (1, 2),
    (1.5, 2),
    ((),),
    ("", 1),
    None,
    1,
    1.5,
    True,
    ("read-csv-1f", "1", -3),
    "a b-c d-e",
    "x-1a",
    "x-ab-",
    "_x_-y",
    "('read-csv-abc', 0)-foo",
    "data",
    "0123456789abcdef0123456789abcdef-x",
    "x-\u0661",
    "it's",
    "tab\there",
    "a\\b",
    "both'\"",
    "\x00\x7f\xa0\u2028\ud7ff\U0001f600\xfc",
    b"\x00'ab\xff",
    1e16,
    1000000000000000.0,
    1e-05,
    0.0001,
    123456789.125,
    -0.0,
    1e22,
    5e-324,
    1.7976931348623157e308,
    float("inf"),
    18446744073709551615,
    -9223372036854775808,
    3.0,
    (1,),
    ("a", (2.0, ("b",))),
    -1e-07,
    100.0,
    0.1,
    0.3333333333333333,
]


def literal(data: bytes) -> str:
    """A C++ string literal; octal escapes of three digits end by themselves."""
    text = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in data)
    return f'"{text}"sv'


def answer(function, key) -> str:
    try:
        return str(function(key))
    except Exception:
        return "Other"  # ours never raises


for key in KEYS:
    columns = [str(key), repr(key), answer(key_split, key), answer(key_split_group, key)]
    packed = literal(msgpack.packb(key, use_bin_type=True))
    print(f"{{{packed}, {', '.join(literal(c.encode()) for c in columns)}}},")
