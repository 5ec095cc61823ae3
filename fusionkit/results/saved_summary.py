"""``summary.json`` read back: what is read of it has the types that it was written with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fusionkit.errors import UserError

_NUMBERS = ("objective", "optimality", "iterations")


def read_summary(path: Path, remedy: str) -> dict[str, Any]:
    """The summary of a run; what it lacks is left to whoever looks for it.

    Parameters
    ----------
    path : of ``summary.json``.
    remedy : what the user can do where it is of no use.

    Raises
    ------
    UserError : it cannot be read, is no JSON text, or holds something else than numbers where they belong.
    """
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(str(path), f"cannot be read: {error.strerror}", remedy) from None
    except (ValueError, RecursionError):  # no UTF-8, no JSON, or brackets without end
        raise UserError(str(path), "is no JSON text", remedy) from None
    if not isinstance(summary, dict):
        raise UserError(str(path), "was not written by fusionkit: it is no JSON object", remedy)
    wrong = next(_wrong(summary), None)
    if wrong is not None:
        raise UserError(str(path), f"was not written by fusionkit: '{wrong[0]}' is no {wrong[1]}", remedy)
    return summary


def _wrong(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys whose values have wrong types, and what they should be."""
    for key in _NUMBERS:
        if not _is_number(summary.get(key)):
            yield key, "number"
    for key in ("terms", "seconds"):
        values = summary.get(key, {})
        if not isinstance(values, dict):
            yield key, "object"
            continue
        yield from ((f"{key}.{name}", "number") for name, value in values.items() if not _is_number(value))
    chosen = summary.get("weights_auto", {})
    entries = chosen.values() if isinstance(chosen, dict) else [None]
    if not all(isinstance(entry, dict) and isinstance(entry.get("key"), str) for entry in entries):
        yield "weights_auto", "object of objects with keys"


def _is_number(value: Any) -> bool:
    """Whether it is a finite number, or the ``null`` that stands for one that is not."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and abs(value) <= sys.float_info.max)
