"""Warnings of the library on stderr, a line each."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fusionkit.errors import FusionkitWarning
from fusionkit.terminal import painted


@contextmanager
def one_line_warnings() -> Iterator[list[str]]:
    """Warnings on stderr, a line each and each once; yields the list of them."""
    said: list[str] = []

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        if text not in said:
            said.append(text)
            prefix = painted("fusionkit: warning:", "yellow", sys.stderr)
            print(f"{prefix} {text}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", FusionkitWarning)
        warnings.showwarning = show
        yield said
