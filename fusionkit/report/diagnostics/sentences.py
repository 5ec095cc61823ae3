"""Short helpers for the sentences of diagnostics."""

from __future__ import annotations

from fusionkit.results.record import Diagnostic


def warning(text: str) -> Diagnostic:
    """Something is probably wrong."""
    return Diagnostic("warning", text)


def note(text: str) -> Diagnostic:
    """Something to know."""
    return Diagnostic("note", text)


def percent(share: float) -> str:
    """``12.3 %``."""
    return f"{100.0 * share:.3g} %"
