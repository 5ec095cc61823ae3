"""Small random changes of bytes, texts and configurations."""

from __future__ import annotations

import copy
import io
import math
import random
import re
import struct
import zipfile
from typing import Any

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
