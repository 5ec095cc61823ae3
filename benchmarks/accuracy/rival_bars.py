"""Targets of fusionkit, as users call it, on the independent specimens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.bars import Bar, Measured
from benchmarks.accuracy.independent.record import VARIANTS
from benchmarks.accuracy.methods import BM3D, FUSE, GAUSSIAN, LOW_RANK, LOW_RANK_IMAGE, RAW, USER_CALLS
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.specimens import INDEPENDENT
from benchmarks.accuracy.studies import MIDDLE
from benchmarks.accuracy.table import NAMES

Values = npt.NDArray[np.float64]
JUDGED_CALLS = (FUSE, *(call for call in USER_CALLS if f"{call}_alone" in USER_CALLS))
RIVALS = {GAUSSIAN: 1.0, BM3D: 0.95, LOW_RANK: 0.90}  # target share of the errors that are at most the rival's
_ERRORS = {  # targets for the geometric mean of error / best Gaussian's
    ("physics", 5.0): 0.52,
    ("physics", 20.0): 0.48,
    ("hard", 5.0): 0.58,
    ("hard", 20.0): 0.54,
    ("model", 5.0): 0.50,
    ("model", 20.0): 0.45,
}
_PAYS = {5.0: 0.90, 20.0: 0.95}  # targets for the mean of error / that without the image; 1 for `hard`
_FRACTION = 0.02  # limit of the relative error of an atomic fraction
_COST = 1.02  # limit of error / that without the image


def variant(name: str) -> list[str]:
    """The independent specimens in one variant."""
    return [specimen for specimen in INDEPENDENT if specimen.endswith(f"_{name}")]


def among(rows: Rows, specimens: Collection[str]) -> Rows:
    """The rows of these specimens."""
    return Rows(tuple(row for row in rows.rows if row["specimen"] in specimens))


def ratios(rows: Rows, method: str, other: str) -> Values:
    """Error of a method over another's, for each element of each recording; empty if one was not measured."""
    mine, theirs = (rows.of(method=name).rows for name in (method, other))
    if not mine or not theirs:
        return np.zeros(0)
    return np.concatenate([np.divide(a["nrmse"], b["nrmse"]) for a, b in zip(mine, theirs, strict=True)])


def geometric(values: Values) -> float:
    """Geometric mean; NaN of nothing."""
    return float(np.exp(np.log(values).mean())) if values.size else float("nan")


def middle_dose(rows: Rows) -> Rows:
    """The rows at the dose at which structure is scored."""
    doses = rows.values("dose")
    return rows.of(dose=MIDDLE if MIDDLE in doses else doses[0])


def rival_bars(rows: Rows) -> Iterator[Bar]:
    """All targets for the measured doses; the cell of a method that was not measured is empty."""
    rows = among(rows, INDEPENDENT)
    yield from _errors(rows)
    yield from _shares(rows)
    yield from _image(rows)
    middle = middle_dose(rows)
    what = f"error of a fraction where that of the counts is at most {_FRACTION:.0%}, the most"
    yield _bar(what, "≤", _FRACTION, lambda method: _worst_fraction(middle, method))
    yield _bar("invented structure, the most", "≤", 0.1, lambda method: _extreme(middle, method, "invented", np.max))
    yield _bar("sharpness, the least", "≥", 0.95, lambda method: _extreme(middle, method, "sharpness", np.min))


def _errors(rows: Rows) -> Iterator[Bar]:
    for (name, dose), aim in _ERRORS.items():
        here = among(rows, variant(name)).of(dose=dose)
        if here.rows:
            what = f"error / best Gaussian's, geometric mean, `{name}`, {dose:g} counts"
            yield _bar(what, "≤", aim, lambda method, here=here: geometric(ratios(here, method, GAUSSIAN)))
    for dose in (1.0, 100.0):
        here = rows.of(dose=dose)
        for rival in (LOW_RANK, LOW_RANK_IMAGE) if here.rows else ():
            what = f"error / that of {NAMES[rival]}, geometric mean, {dose:g} counts"
            yield _bar(what, "≤", 1.0, lambda method, here=here, rival=rival: geometric(ratios(here, method, rival)))


def _shares(rows: Rows) -> Iterator[Bar]:
    for rival, aim in RIVALS.items():
        what = f"share of errors at most those of {NAMES[rival]}"
        yield _bar(what, "≥", aim, lambda method, rival=rival: share(ratios(rows, method, rival)))


def _image(rows: Rows) -> Iterator[Bar]:
    what = "share of errors at most 2 % above those without the image"
    yield _bar(what, "≥", 1.0, lambda method: share(ratios(rows, method, f"{method}_alone"), _COST))
    for name in VARIANTS:
        for dose, aim in _PAYS.items():
            here = among(rows, variant(name)).of(dose=dose)
            if here.rows:
                what = f"error / that without the image, mean, `{name}`, {dose:g} counts"
                most = 1.0 if name == "hard" else aim
                yield _bar(what, "≤", most, lambda method, here=here: _mean(ratios(here, method, f"{method}_alone")))


def _bar(what: str, sign: str, aim: float, value: Callable[[str], float]) -> Bar:
    def measured(method: str) -> Measured:
        number = value(method)
        if np.isnan(number):
            return Measured("", None)
        return Measured(f"{number:.3f}", number <= aim if sign == "≤" else number >= aim)

    return Bar(what, f"{sign} {aim:g}", tuple(measured(method) for method in JUDGED_CALLS))


def share(values: Values, most: float = 1.0) -> float:
    """Share of the values that are at most ``most``; NaN of nothing."""
    return float(np.mean(values <= most)) if values.size else float("nan")


def _mean(values: Values) -> float:
    return float(values.mean()) if values.size else float("nan")


def _extreme(rows: Rows, method: str, name: str, of: Callable[[list[float]], float]) -> float:
    values = rows.of(method=method).values(name)
    return float(of(values)) if values else float("nan")


def _worst_fraction(rows: Rows, method: str) -> float:
    pairs = zip(rows.of(method=method).rows, rows.of(method=RAW).rows, strict=True)
    return max((mine["fraction"] for mine, raw in pairs if raw["fraction"] <= _FRACTION), default=float("nan"))
