"""Whether maps are counts, rates or fractions, guessed from their values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fusionkit.arrays import Array
from fusionkit.data.counts.scale import is_counts, sample, step_of
from fusionkit.data.missing import known

Kind = Literal["counts", "rates", "fractions"]

_MEANING = {
    "counts": "the maps are counts (whole numbers)",
    "rates": "the maps are rates, counts times a factor",
    "fractions": "the maps are fractions: neither counts nor counts times a factor",
}
_REMEDY = {
    "counts": "",
    "rates": "; with data.maps_are: rates they become counts again",
    "fractions": "; with data.maps_are: fractions they become effective counts, estimated from their noise",
}


@dataclass(frozen=True)
class Counting:
    """The kind of the maps, and their units."""

    kind: Kind  # ``counts``, ``rates`` or ``fractions``
    guessed: bool = False  # whether the config does not state it
    # one count of each map in the map's original units, by element; empty if the maps were not converted
    units: Mapping[str, float] = field(default_factory=dict)
    # relative standard error of each unit that was estimated from the noise
    errors: Mapping[str, float] = field(default_factory=dict)
    # p in variance ~ mean^p of each map for which it was estimated: 1 for counts
    exponents: Mapping[str, float] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """For ``summary.json``."""
        result: dict[str, Any] = {"maps_are": self.kind, "guessed": self.guessed}
        for name in ("units", "errors", "exponents"):
            values = dict(getattr(self, name))
            if values:
                result[{"units": "unit_of_a_count", "errors": "relative_errors"}.get(name, name)] = values
        return result


def guess(maps: Array) -> Kind | None:
    """The kind of the maps (n, ny, nx); None if they hold negative values or only zeros."""
    values = known(maps)
    if maps.ndim != 3 or not values.size or float(values.min()) < 0.0 or not float(values.max()) > 0.0:
        return None
    if is_counts(maps):
        return "counts"
    parts = map(known, maps)
    return "rates" if all(step_of(sample(one)) is not None for one in parts if one.any()) else "fractions"


def guess_note(kind: Kind) -> str:
    """A sentence on a guess."""
    return f"data.maps_are is not given: {_MEANING[kind]}{_REMEDY[kind]}."
