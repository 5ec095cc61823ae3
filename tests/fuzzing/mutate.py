"""Small random changes of bytes, texts and configurations."""

from __future__ import annotations

import bz2
import copy
import io
import math
import random
import re
import struct
import zipfile
from typing import Any

import h5py
import numpy as np

EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1]
VALUES: list[Any] = [None, True, False, 0, 1, -1, 2, 7, -0.0, 0.5, 1e-12, 1e-30, 5e-324, 1e12, 1e30, 1e300]
VALUES += [math.inf, -math.inf, math.nan, 10**20, 2**31, 2**63, "", "auto", "none", "x", " ", "\0", "a" * 300]
VALUES += ["/dev/null", "/dev/zero", "~", "~root", "..", "maps", "relative", "Co", "O", "haadf", "\x1b[31m", "<b>"]
VALUES += ["1e3", "nan", [], {}, [0], [1, 2], [None], [[1]], {"a": 1}, {"auto": "sure"}, {"auto": "l_curve"}]
VALUES += [{"auto": "count_splitting"}, {"type": "gradient"}, {"type": "l1"}, {"Co": 27}, [1.4, 2.0]]
KEYS = "type weight gamma z gain offset epsilon ratio coupling name data forward functional operator arguments sigma"
KEYS += " lower upper element factor rows columns axis k_factors delta max_iterations tolerance check_every tau step"
KEYS += " relaxation newton_steps smoothing path haadf maps spectra prepare normalize maps_are preset size seed dose"
KEYS += " method interval samples regions directory figures report formats init precision engine threads uncertainty"
KEYS += " composition unknown labels version sweep checkpoint every time_limit signal scale reader guide"


def mutate_bytes(data: bytes, chance: random.Random) -> bytes:
    """One to four changes."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4])):
        at = chance.randrange(len(changed) + 1)
        length = min(chance.choice([1, 2, 4, 8, 64, 1000]), len(changed) - at)
        kind = chance.randrange(7)
        if kind == 0 and length:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            form = chance.choice(["<B", "<H", "<I", "<Q", ">H", ">I", ">Q"])
            size = struct.calcsize(form)
            changed[at : at + size] = struct.pack(form, chance.choice(EDGES) % (1 << 8 * size))
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = changed[at : at + length] * chance.choice([1, 3])
        elif kind == 4:
            changed[at : at + length] = bytes(length)
        elif kind == 5:
            changed[at : at + length] = chance.randbytes(length)
        elif kind == 6 and chance.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def mutate_text(data: bytes, chance: random.Random) -> bytes:
    """A word, a number or a line exchanged, doubled or left out; else a change of bytes."""
    if chance.random() < 0.3:
        return mutate_bytes(data, chance)
    parts = re.split(r"(\s+|[,:{}\[\]\"]+)", data.decode(errors="replace"))
    at, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    new = chance.choice([str(chance.choice(VALUES)), parts[other], parts[at] * 2, "", chance.choice(KEYS.split())])
    return "".join([*parts[:at], new, *parts[at + 1 :]]).encode(errors="replace")


def mutate_zip(data: bytes, chance: random.Random) -> bytes:
    """A member of the archive changed, with its right checksum; or a change of its bytes."""
    if chance.random() < 0.3:
        return mutate_bytes(data, chance)
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w") as new:
        chosen = chance.choice(old.namelist())
        for name in old.namelist():
            content = old.read(name)
            if name == chosen:
                text = mutate_text if chance.random() < 0.5 else mutate_bytes
                content = (
                    content[:128] + text(content[128:], chance) if chance.random() < 0.5 else text(content, chance)
                )
            new.writestr(name, content)
    return result.getvalue()


def mutate_bz2(data: bytes, chance: random.Random) -> bytes:
    """What a file compressed as a whole holds changed."""
    return bz2.compress(mutate_bytes(bz2.decompress(data), chance))


SHAPES = [(), (0,), (1,), (3,), (6, 5), (5, 6), (1, 1, 1), (2, 3, 4), (6, 5, 1), (6, 5, 40), (1, 2, 3, 4, 5)]
DTYPES = ["?", "i1", "u1", "<u2", ">u2", "<i4", "<u8", "<f2", "<f4", ">f8", "<c8", "S3", "O"]


def mutate_hdf5(data: bytes, chance: random.Random) -> bytes:
    """A dataset or an attribute replaced by one of another shape, type or value, exchanged or left out."""
    stream = io.BytesIO(data)
    try:
        with h5py.File(stream, "r+") as file:
            names: list[str] = []
            file.visit(names.append)
            for _ in range(chance.choice([1, 1, 2])):
                _change_hdf5(file, chance.choice(["/", *names]), names, chance)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError):  # what was changed first cannot be opened
        return mutate_text(data, chance)
    return stream.getvalue()


def _change_hdf5(file: h5py.File, name: str, names: list[str], chance: random.Random) -> None:
    item = file[name]
    if item.attrs and chance.random() < 0.4:
        key = chance.choice(list(item.attrs))
        if chance.random() < 0.2:
            del item.attrs[key]
        else:
            item.attrs[key] = _hdf5_value(item.attrs[key], chance)
    elif name != "/":
        old = item[()] if isinstance(item, h5py.Dataset) else 0
        other = file[chance.choice(names)]
        del file[name]
        if chance.random() < 0.15:
            file[name] = other  # a hard link, perhaps to a group above
        elif chance.random() < 0.9:
            file[name] = _hdf5_value(old, chance)


@np.errstate(all="ignore")
def _hdf5_value(old: Any, chance: random.Random) -> Any:
    """Another value: of other shape, type or content; texts changed as texts."""
    text = old[0] if isinstance(old, np.ndarray) and old.dtype == object and old.size else old
    if isinstance(text, str | bytes) and chance.random() < 0.7:
        raw = text.encode() if isinstance(text, str) else text
        changed = mutate_text(raw, chance).decode(errors="replace").replace("\0", "")
        return np.array([changed], h5py.string_dtype()) if isinstance(old, np.ndarray) else changed
    if isinstance(old, np.ndarray) and old.dtype.kind in "iuf" and chance.random() < 0.5:
        if chance.random() < 0.3:
            return old.astype(chance.choice(DTYPES[:10]))
        new = old.copy()
        if new.size:
            value = np.array(chance.choice([-1, 0, np.nan, np.inf, 1e300, 7])).astype(new.dtype)
            new.flat[chance.randrange(new.size)] = value
        return new
    dtype, shape = chance.choice(DTYPES), chance.choice(SHAPES)
    if dtype in ("O", "S3"):
        value = chance.choice(["", "x", "nm", "{}", "[1]", "a" * 300])
        return np.full(shape, value, h5py.string_dtype() if dtype == "O" else "S3")
    fill = chance.choice([0, 1, 2, 100, -1, 3.5])
    return np.full(shape, fill).astype(dtype)


def mutate_config(config: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A copy with one or two values changed, keys removed or added, or parts exchanged."""
    config = copy.deepcopy(config)
    for _ in range(chance.choice([1, 1, 1, 2])):
        places = list(_places(config))
        parent, key = chance.choice(places)
        if key not in parent and not (isinstance(parent, list) and key < len(parent)):
            continue
        value, kind = parent[key], chance.random()
        if kind < 0.45 and isinstance(value, int | float) and not isinstance(value, bool):
            factor = chance.choice([-1, 0, 1e-30, 1e-12, 1e-3, 1 / 3, 2, 1e3, 1e12, 1e30])
            parent[key] = chance.choice([value * factor, value + 1, value - 1, str(value), [value]])
        elif kind < 0.6:
            parent[key] = copy.deepcopy(chance.choice(VALUES))
        elif kind < 0.7:
            del parent[key]
        elif kind < 0.85 and isinstance(value, dict):
            value[chance.choice(KEYS.split())] = copy.deepcopy(chance.choice(VALUES))
        elif kind < 0.93:
            source, name = chance.choice(places)
            parent[key] = copy.deepcopy(source[name])
        elif isinstance(value, list) and value:
            value.append(copy.deepcopy(chance.choice(value)))
    return config


def _places(value: Any) -> Any:
    """Every container in the value with each of its keys."""
    for key, inner in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
