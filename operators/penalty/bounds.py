"""Constraints: nonnegativity and the box."""

from __future__ import annotations

from math import inf

from pydantic import model_validator

from fusionkit.build import Context
from fusionkit.options import Finite, Options
from fusionkit.terms import Bounds


class Box(Bounds):
    """The indicator of lower <= x <= upper at every pixel.

    Parameters
    ----------
    lower, upper : bounds in units of x; infinite for none.
    name : of the term.
    """

    def __init__(self, lower: float, upper: float, name: str) -> None:
        self.lower, self.upper, self.name = lower, upper, name


class NonnegativeOptions(Options):
    """Options of ``nonnegative``."""

    name: str | None = None


class BoxOptions(Options):
    """Options of ``box``."""

    lower: Finite | None = None
    upper: Finite | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> BoxOptions:
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError(f"lower ({self.lower}) is above upper ({self.upper}); swap them")
        return self


def nonnegative(options: NonnegativeOptions, context: Context) -> Box:
    """x >= 0 at every pixel, since no element has a negative amount."""
    return Box(0.0, inf, options.name or "nonnegative")


def box(options: BoxOptions, context: Context) -> Box:
    """lower <= x <= upper at every pixel.

    `UserError` if lower is above upper.

    Parameters
    ----------
    lower, upper : bounds in units of x; null for none.
    """
    lower = -inf if options.lower is None else options.lower
    return Box(lower, inf if options.upper is None else options.upper, options.name or "box")
