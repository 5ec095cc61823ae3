"""The bars that fusionkit is held to, and whether it holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.methods import AUTO, BEST_TV, GAUSSIAN, INTERVALS, REFERENCE
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.specimens import BROKEN, MATCHED
from benchmarks.accuracy.studies import JUDGED

HALF, NEAR, SOLVES, STOICHIOMETRY = 0.5, 1.05, 10.0, 0.02
INSIDE = (0.85, 0.95)  # share of the pixels that intervals of 90 % are to cover


@dataclass(frozen=True)
class Bar:
    """An aim, what was measured, and whether that is enough."""

    what: str
    measured: str
    aim: str
    held: bool | None

    def row(self) -> list[str]:
        """For a table."""
        return [
            self.what,
            self.measured,
            self.aim,
            {True: "held", False: "**not held**", None: "not measured"}[self.held],
        ]


def bars(studies: Mapping[str, Rows]) -> Iterator[Bar]:
    """Every bar, of the parts that were measured."""
    if "headline" in studies:
        yield from _of_headline(studies["headline"])
    if "main" in studies:
        yield from _of_main(studies["main"])
    if "intervals" in studies:
        yield from _coverage(studies["intervals"])


def ratio(rows: Rows, method: str, other: str) -> float:
    """Mean NRMSE of a method over another's."""
    return rows.of(method=method).mean("nrmse") / rows.of(method=other).mean("nrmse")


def ratios_by_element(rows: Rows, method: str = AUTO) -> list[float]:
    """NRMSE over that of the best Gaussian filter, for each element."""
    ours, theirs = (rows.of(method=name).by_element("nrmse") for name in (method, GAUSSIAN))
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def solves(rows: Rows) -> float:
    """The most iterations of a search over those of the solve after it."""
    facts = [row["facts"] for row in rows.of(method=AUTO).rows]
    return max(fact["search_iterations"] / fact["iterations"] for fact in facts)


def _of_headline(rows: Rows) -> Iterator[Bar]:
    size = rows.values("size")[0]
    for dose in rows.values("dose"):
        found = ratio(rows.of(dose=dose), AUTO, REFERENCE)
        what = f"NRMSE / the reference's best, nanoparticle {size}², {dose:g} counts"
        yield Bar(what, f"{found:.2f}", f"≤ {HALF}", found <= HALF)
    for dose in rows.values("dose"):
        found = ratio(rows.of(dose=dose), AUTO, BEST_TV)
        what = f"NRMSE / that of the TV weight chosen with the truth, nanoparticle {size}², {dose:g} counts"
        yield Bar(what, f"{found:.3f}", f"≤ {NEAR}", found <= NEAR)


def _of_main(rows: Rows) -> Iterator[Bar]:
    size = rows.values("size")[0]
    for specimen in MATCHED:
        chosen = {
            d: ratio(rows.of(specimen=specimen, dose=d), AUTO, BEST_TV) for d in rows.values("dose") if d in JUDGED
        }
        text = ", ".join(f"{value:.3f}" for value in chosen.values())
        what = f"the same, {specimen} {size}², {_list(list(chosen))} counts"
        yield Bar(what, text, f"≤ {NEAR}", max(chosen.values()) <= NEAR)
    cost = solves(rows)
    yield Bar(
        "iterations of the automatic choice / those of a plain solve, the most",
        f"{cost:.1f}",
        f"≤ {SOLVES:g}",
        cost <= SOLVES,
    )
    for kind, names in (("that the model describes", MATCHED), ("that break the model", BROKEN)):
        compared = [
            value
            for specimen in names
            for dose in rows.values("dose")
            for value in ratios_by_element(rows.of(specimen=specimen, dose=dose))
        ]
        good = int(np.sum(np.array(compared) <= 1.0))
        what = f"at most the NRMSE of the best Gaussian filter, each element, dose and specimen {kind}"
        yield Bar(what, f"{good} of {len(compared)}, worst {max(compared):.2f}", "all", good == len(compared))
    films = rows.of(specimen="films", dose=100.0, method=AUTO)
    if films.rows:
        error = films.mean("stoichiometry")
        yield Bar("stoichiometry of films at 100 counts", f"{100 * error:.2f} %", "≤ 2 %", error <= STOICHIOMETRY)


def _coverage(rows: Rows) -> Iterator[Bar]:
    for method in INTERVALS:
        of_model = [row for specimen in MATCHED for row in rows.of(specimen=specimen, method=method).rows]
        found = [value for row in of_model for value in row["coverage"]]
        good = sum(INSIDE[0] <= value <= INSIDE[1] for value in found)
        text = f"{100 * min(found):.0f} to {100 * max(found):.0f} %, {good} of {len(found)} within"
        what = f"pixels within intervals of 90 % by {method}, each element, matched specimens"
        yield Bar(what, text, "85 to 95 %", good == len(found))


def _list(doses: list[float]) -> str:
    return ", ".join(f"{dose:g}" for dose in doses)
