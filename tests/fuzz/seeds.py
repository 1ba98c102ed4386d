"""Writes the first inputs of every fuzz target from the captures and the golden files of the unit tests.

.venv/bin/python tests/fuzz/seeds.py
"""

import hashlib
import pathlib
import re
import struct

FUZZ = pathlib.Path(__file__).resolve().parent
TESTS = FUZZ.parent


def save(target: str, data: bytes):
    folder = FUZZ / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("seed-" + hashlib.sha1(data).hexdigest()[:10])).write_bytes(data)


def directions(file: pathlib.Path):
    data, at = file.read_bytes(), 8
    while at < len(data):
        (name,) = struct.unpack_from("<H", data, at)
        (size,) = struct.unpack_from("<Q", data, at + 2 + name)
        yield data[at + 10 + name : at + 10 + name + size]
        at += 10 + name + size


def messages(data: bytes):
    at = 0
    while at < len(data):
        _, count = struct.unpack_from("<QQ", data, at)
        lengths = struct.unpack_from(f"<{count}Q", data, at + 16)
        begin, at = at, at + 16 + 8 * count
        frames = []
        for length in lengths:
            frames.append(data[at : at + length])
            at += length
        yield data[begin:at], frames


def golden(file: pathlib.Path):
    for line in file.read_text().splitlines():
        text = re.match(r'\{"((?:[^"\\]|\\.)*)"sv', line)[1]
        yield re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), text.encode())


for capture in sorted((TESTS / "wire/captures").glob("*.bin")):
    for direction in directions(capture):
        small = [(raw, frames) for raw, frames in messages(direction) if len(raw) < 1500]
        save("frames", b"\x40\x40" + b"".join(raw for raw, _ in small)[:2000])
        for _, frames in small[:: max(1, len(small) // 6)]:
            if len(frames) <= 16:
                sizes = b"".join(struct.pack("<H", len(f)) for f in frames[:-1])
                save("messages", bytes([len(frames) - 1]) + sizes + b"".join(frames))
for pickle in list(golden(TESTS / "unit/core/wire/pickle_golden.inc"))[::2]:
    save("pickles", pickle)
for key in list(golden(TESTS / "unit/core/base/key_golden.inc"))[::2]:
    save("keys", key)
for text in (
    '{"workers": ["tcp://a:1"], "n": 2, "f": -1.5e-3, "deep": [[], {}, null, true, "\\u00e9\\ud83d\\ude00\\n"]}',
    "[1, 2",
    "18446744073709551615",
    '"\\ud800"',
):
    save("json", text.encode())
for options, text in (
    (b"\x00\x40", 'a,b,c\n1,2.5,x\n-3,,"y, z"\n4,1e3,"a ""quoted""\nline"\n'),
    (b"\x01\x08", "day;ok\r\n2013-01-02;true\r\n2013-1-3;False\r\n;\r\n"),
    (b"\x02\x01", "\ufeffn\tm\n9223372036854775807\t-1\nNA\tNaN\n\n7\t8"),
    (b"\x00\x10", "a,b\n1,2,3\n"),
    (b"\x00\x10", 'a,b\n1\n"never closed\n2,3\n'),
):
    save("csv", options + text.encode())
