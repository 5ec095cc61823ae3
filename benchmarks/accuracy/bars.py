"""The accuracy targets of fusionkit, and whether it meets them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.accuracy.methods import ADAPTIVE, AUTO, BEST_ADAPTIVE, BEST_TV, GAUSSIAN, GUIDED, INTERVALS, REFERENCE
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.specimens import BROKEN, MATCHED
from benchmarks.accuracy.studies import JUDGED

HALF, NEAR, SOLVES, STOICHIOMETRY = 0.5, 1.05, 10.0, 0.02
INSIDE = (0.85, 0.95)  # target share of the pixels that 90 % intervals cover

JUDGED_METHODS = (AUTO, GUIDED, ADAPTIVE)


@dataclass(frozen=True)
class Measured:
    """A measurement, and whether it meets the target; None without a target."""

    text: str
    held: bool | None

    def cell(self) -> str:
        """For a table."""
        return self.text + {True: ": met", False: ": **not met**", None: ""}[self.held]


@dataclass(frozen=True)
class Bar:
    """A target, and the measurement of each of `JUDGED_METHODS`, or one for a target of none of them."""

    what: str
    aim: str
    measured: tuple[Measured, ...]

    def row(self) -> list[str]:
        """For a table."""
        cells = [one.cell() for one in self.measured]
        return [self.what, self.aim, *cells, *[""] * (len(JUDGED_METHODS) - len(cells))]


def bars(studies: Mapping[str, Rows]) -> Iterator[Bar]:
    """The targets of the measured parts."""
    if "headline" in studies:
        yield from _of_headline(studies["headline"])
    if "main" in studies:
        yield from _of_main(studies["main"])
    if "choice" in studies:
        yield from _of_choice(studies["choice"])
    if "intervals" in studies:
        yield from _coverage(studies["intervals"])


def ratio(rows: Rows, method: str, other: str) -> float:
    """Mean NRMSE of a method over that of another."""
    return rows.of(method=method).mean("nrmse") / rows.of(method=other).mean("nrmse")


def ratios_by_element(rows: Rows, method: str = AUTO) -> list[float]:
    """NRMSE over that of the best Gaussian filter, for each element."""
    ours, theirs = (rows.of(method=name).by_element("nrmse") for name in (method, GAUSSIAN))
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def solves(rows: Rows, method: str) -> float:
    """The largest ratio of iterations in a search to those of the final solve."""
    facts = [row["facts"] for row in rows.of(method=method).rows]
    return max(fact["search_iterations"] / fact["iterations"] for fact in facts)


def _of_headline(rows: Rows) -> Iterator[Bar]:
    size = rows.values("size")[0]
    for dose in rows.values("dose"):
        found = [ratio(rows.of(dose=dose), method, REFERENCE) for method in JUDGED_METHODS]
        what = f"NRMSE / that of the reference at its best weights, nanoparticle {size}², {dose:g} counts"
        yield Bar(what, f"≤ {HALF}", tuple(Measured(f"{one:.2f}", one <= HALF) for one in found))
    for dose in rows.values("dose"):
        found = ratio(rows.of(dose=dose), AUTO, BEST_TV)
        what = f"NRMSE / that of the TV weight chosen with the truth, nanoparticle {size}², {dose:g} counts"
        yield Bar(what, f"≤ {NEAR}", (Measured(f"{found:.3f}", found <= NEAR),))


def _of_main(rows: Rows) -> Iterator[Bar]:
    size, doses = rows.values("size")[0], [dose for dose in rows.values("dose") if dose in JUDGED]
    for specimen in MATCHED:
        found = [ratio(rows.of(specimen=specimen, dose=dose), AUTO, BEST_TV) for dose in doses]
        what = f"the same, {specimen} {size}², {', '.join(f'{dose:g}' for dose in doses)} counts"
        text = ", ".join(f"{value:.3f}" for value in found)
        yield Bar(what, f"≤ {NEAR}", (Measured(text, max(found) <= NEAR),))
    costs = [solves(rows, method) for method in JUDGED_METHODS]
    what = "iterations of the search / those of the final solve, maximum"
    yield Bar(what, f"≤ {SOLVES:g}", tuple(Measured(f"{cost:.1f}", cost <= SOLVES) for cost in costs))
    for kind, names in (("where the model holds", MATCHED), ("where it does not", BROKEN)):
        what = f"NRMSE not above that of the best Gaussian filter, each element, dose and specimen {kind}"
        yield Bar(what, "all", tuple(_against_gaussian(rows, names, method) for method in JUDGED_METHODS))
    films = rows.of(specimen="films", dose=100.0)
    if films.rows:
        errors = [films.of(method=method).mean("stoichiometry") for method in JUDGED_METHODS]
        measured = tuple(Measured(f"{100 * error:.2f} %", error <= STOICHIOMETRY) for error in errors)
        yield Bar("stoichiometry of films at 100 counts", f"≤ {100 * STOICHIOMETRY:g} %", measured)


def _of_choice(rows: Rows) -> Iterator[Bar]:
    """The adaptive choice; its targets are in its own column."""
    size, doses = rows.values("size")[0], rows.values("dose")
    for specimen in MATCHED:
        found = [ratio(rows.of(specimen=specimen, dose=dose), ADAPTIVE, BEST_ADAPTIVE) for dose in doses]
        counts = ", ".join(f"{dose:g}" for dose in doses)
        what = f"the same for the chosen penalty, {specimen} {size}², {counts} counts"
        mine = Measured(", ".join(f"{value:.3f}" for value in found), max(found) <= NEAR)
        cells = tuple(mine if method == ADAPTIVE else Measured("", None) for method in JUDGED_METHODS)
        yield Bar(what, f"≤ {NEAR}", cells)


def _against_gaussian(rows: Rows, names: Iterable[str], method: str) -> Measured:
    found = [
        value
        for specimen in names
        for dose in rows.values("dose")
        for value in ratios_by_element(rows.of(specimen=specimen, dose=dose), method)
    ]
    good = sum(value <= 1.0 for value in found)
    return Measured(f"{good} of {len(found)}, worst {max(found):.2f}", good == len(found))


def _coverage(rows: Rows) -> Iterator[Bar]:
    """For each element, and for each recording: the mean over its elements."""
    for method in INTERVALS:
        matched = [row["coverage"] for specimen in MATCHED for row in rows.of(specimen=specimen, method=method).rows]
        whole = [sum(values) / len(values) for values in matched]
        what = f"pixels within 90 % intervals by {method}, matched specimens, each"
        for each, found in (("element", [value for values in matched for value in values]), ("recording", whole)):
            good = sum(INSIDE[0] <= value <= INSIDE[1] for value in found)
            text = f"{100 * min(found):.0f} to {100 * max(found):.0f} %, {good} of {len(found)} within"
            yield Bar(f"{what} {each}", "85 to 95 %", (Measured(text, good == len(found)),))
