"""The tables that compare fusionkit, as users call it, with other methods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.accuracy.methods import FUSE, GAUSSIAN
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.rival_bars import (
    JUDGED_CALLS,
    RIVALS,
    among,
    geometric,
    middle_dose,
    ratios,
    rival_bars,
    share,
    variant,
)
from benchmarks.accuracy.specimens import MATCHED
from benchmarks.accuracy.table import NAMES, Table, table

_OWN = "**Own model**: the image is exactly what fusionkit assumes, which flatters it."
GROUPS = {  # the specimens of each table, and a warning
    "Phantoms of this project": ([*MATCHED], f"{_OWN} So do the shapes, which are round or flat, and smooth."),
    "Independent specimens, `model`": (variant("model"), _OWN),
    "Independent specimens, `physics`": (variant("physics"), ""),
    "Independent specimens, `hard`": (variant("hard"), ""),
}
_WORST: dict[str, tuple[str, Callable[[list[float]], float]]] = {
    "fraction": ("{:.1%}", max),
    "in_sigmas": ("{:.1f}", max),
    "total": ("{:.1%}", max),
    "invented": ("{:.2f}", max),
    "sharpness": ("{:.2f}", min),
}


def comparison(rows: Rows) -> str:
    """All tables in Markdown."""
    bars = (bar.row() for bar in rival_bars(rows))
    parts = [
        table("Targets on independent specimens", ["quantity", "target", *(NAMES[call] for call in JUDGED_CALLS)], bars)
    ]
    for title, (specimens, mark) in GROUPS.items():
        here = among(rows, specimens)
        parts += [_group(title, here, mark)] if here.rows else []
    return "\n".join([*parts, _elements(rows)])


def _group(title: str, rows: Rows, mark: str) -> str:
    doses, middle = rows.values("dose"), middle_dose(rows)

    def lines() -> Table:
        for method in rows.values("method"):
            here = middle.of(method=method)
            errors = (geometric(ratios(rows.of(dose=dose), method, GAUSSIAN)) for dose in doses)
            shares = (share(ratios(rows, method, rival)) for rival in RIVALS)
            yield [
                NAMES[method],
                *(f"{error:.2f}" for error in errors),
                *("" if np.isnan(one) else f"{one:.0%}" for one in shares),
                *(text.format(worst(here.values(name))) for name, (text, worst) in _WORST.items()),
            ]

    head = ["method", *(f"{dose:g} counts" for dose in doses), *(f"≤ {NAMES[rival]}" for rival in RIVALS)]
    size = rows.values("size")[0]
    note = f"{mark} {', '.join(rows.values('specimen'))}; {size} × {size} pixels; seeds: {len(rows.values('seed'))}."
    return table(title, [*head, *_WORST], lines(), note.strip())


def _elements(rows: Rows) -> str:
    """`fusionkit.fuse` for each element of each specimen."""

    def lines() -> Table:
        for specimen in rows.values("specimen"):
            chosen = rows.of(specimen=specimen)
            for index, element in enumerate(chosen.rows[0]["elements"]):
                yield [specimen, element, *(_cell(chosen.of(dose=dose), index) for dose in rows.values("dose"))]

    head = ["specimen", "element", *(f"{dose:g} counts" for dose in rows.values("dose"))]
    rivals = ", ".join(NAMES[rival] for rival in RIVALS)
    note = f"Error of {NAMES[FUSE]} over the best Gaussian filter's; bold if one of these is better: {rivals}."
    return table("Each element", head, lines(), note)


def _cell(rows: Rows, index: int) -> str:
    errors = {m: rows.of(method=m).by_element("nrmse")[index] for m in rows.values("method") if m in (FUSE, *RIVALS)}
    text = f"{errors[FUSE] / errors[GAUSSIAN]:.2f}"
    return f"**{text}**" if errors[FUSE] > min(errors.values()) else text
