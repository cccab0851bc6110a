"""Damages a file as disks, transfers, editors and ill will do, the same for the same seed."""

import json
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

# What a parser may take for code, for a way out of the folder, or for very much memory.
NASTY = (
    "nan", "inf", "-inf", "1e999", "-1", "0", "99999999999999999999", "1" + "0" * 400, '""', "null", "[]",
    "{}", "true", "../../../../tmp/surfpose_out", "/tmp/surfpose_out", "\x00", "\ud7ff",
    "[[[[[[[[[[[[[[[[[[[[", "!!python/object/apply:os.system ['touch /tmp/surfpose_out']", "&a [*a, *a]",
    "*unknown", "%s%n{0}",
)  # fmt: skip
HUGE = (0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 1 << 40, 1 << 31, 3_000_000_000)
TEXT = frozenset({".yaml", ".json", ".csv", ".obj", ".mtl", ".xml"})
HEADERS = {".ply": b"end_header\n", ".safetensors": b"}}"}

Damage = Callable[[bytes, random.Random], bytes]


def damage(path: Path, rng: random.Random) -> str:
    """Damage a file in place; returns how, for a person."""
    kinds = [flip, cut, blank, spread, huge, gone]
    if path.suffix in TEXT:
        kinds += [token, token, token, lines, deep]
    elif path.suffix in HEADERS:
        kinds += [header(HEADERS[path.suffix])] * 3
    kind = rng.choice(kinds)
    data = path.read_bytes()
    changed = kind(data, rng)
    path.write_bytes(changed)
    return f"{path.name}: {kind.__name__}, {len(data)} to {len(changed)} bytes"


def flip(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, near the beginning or anywhere."""
    changed = bytearray(data)
    end = rng.choice([64, 1024, len(data)])
    for _ in range(rng.choice([1, 1, 4, 64])):
        if data:
            changed[rng.randrange(min(end, len(data)))] = rng.randrange(256)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """Cut off at the end, or a piece missing."""
    begin, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:begin] if rng.random() < 0.5 else data[:begin] + data[end:]


def blank(data: bytes, rng: random.Random) -> bytes:
    """A block of zeros or ones, as a power cut leaves."""
    begin = rng.randrange(len(data) + 1)
    size = min(rng.choice([8, 512, 4096]), len(data) - begin)
    return data[:begin] + bytes([rng.choice([0, 255])]) * size + data[begin + size :]


def spread(data: bytes, rng: random.Random) -> bytes:
    """A piece of the file once more, somewhere."""
    begin, end, at = (rng.randrange(len(data) + 1) for _ in range(3))
    return data[:at] + data[begin:end][:4096] + data[at:]


def huge(data: bytes, rng: random.Random) -> bytes:
    """A number of four or eight bytes that claims very much."""
    value = rng.choice(HUGE)
    number = struct.pack(rng.choice("<>") + ("Q" if value >> 32 else "I"), value)
    at = rng.randrange(min(len(data), rng.choice([64, 1024, 1 << 30])) + 1)
    return data[:at] + number + data[at + len(number) :]


def gone(data: bytes, rng: random.Random) -> bytes:
    """Nothing left."""
    return b""


def token(data: bytes, rng: random.Random) -> bytes:
    """A number or word of a text replaced by something nasty."""
    text = data.decode(errors="replace")
    words = list(re.finditer(r"[-\w.]+", text))
    if not words:
        return data
    word = rng.choice(words)
    put = rng.choice([rng.choice(NASTY), rng.choice(words).group()])
    return (text[: word.start()] + put + text[word.end() :]).encode(errors="replace")


def lines(data: bytes, rng: random.Random) -> bytes:
    """Lines missing, twice or elsewhere."""
    rows = data.splitlines(keepends=True)
    if rows:
        row = rows.pop(rng.randrange(len(rows)))
        for _ in range(rng.randrange(3)):
            rows.insert(rng.randrange(len(rows) + 1), row)
    return b"".join(rows)


def deep(data: bytes, rng: random.Random) -> bytes:
    """Something nested very deep, or references that grow a billion times when written out."""
    laughs = "a0: &a0 [x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
    )
    return rng.choice([b"[" * 100_000, b"{" * 5000, laughs.encode() + data, data + laughs.encode()])


def header(end: bytes) -> Damage:
    """A token of the text at the beginning of a binary file; the length before it, if any, fits again."""

    def header_token(data: bytes, rng: random.Random) -> bytes:
        size = data.find(end) + len(end)
        if end == b"}}":
            (size,) = struct.unpack_from("<Q", data)
            changed = rng.choice([token, _tensor])(data[8 : 8 + size], rng)
            return struct.pack("<Q", len(changed)) + changed + data[8 + size :]
        return token(data[:size], rng) + data[size:]

    return header_token


def _tensor(data: bytes, rng: random.Random) -> bytes:
    """A safetensors header with another type, shape or place of one tensor."""
    content = json.loads(data)
    entry = content[rng.choice([name for name in content if name != "__metadata__"])]
    change = rng.randrange(4)
    if change == 0:
        entry["dtype"] = rng.choice(["F64", "F16", "BF16", "I8", "BOOL", "X9"])
    elif change == 1:
        entry["shape"] = entry["shape"][::-1] + [1] * rng.randrange(2)
    elif change == 2:
        entry["shape"] = [rng.choice(HUGE), *entry["shape"]]
    else:
        entry["data_offsets"] = [rng.choice([0, *HUGE]), rng.choice([0, *HUGE])]
    return json.dumps(content).encode()
