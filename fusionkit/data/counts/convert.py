r"""Conversion of maps to counts: the unknown c is in counts, and a map in its original units is x = f c.

The Poisson term of counts is a likelihood. Forward models of other data expect the original units and are evaluated at
f c; see `fusionkit.operators.fidelity.Fidelity.in_counts`.
"""

from dataclasses import replace

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.counts.kind import Counting, Kind, guess, guess_note
from fusionkit.data.counts.scale import MeanVariance, is_counts, is_smoothed, mean_variance, shares_noise, step_of
from fusionkit.data.dataset import Dataset
from fusionkit.data.missing import known
from fusionkit.errors import UserError

_COUNTS_LIKE = (0.5, 1.5)  # exponent of variance against mean: phantoms give 0.62 to 1.36, even noise 0


def counted(dataset: Dataset, kind: Kind | None, where: str = "data.maps_are") -> Dataset:
    """The dataset with its maps in counts if ``kind`` is given; else unchanged, with a guess and a note on it.

    `UserError` if there are no maps, or they are not of this kind.
    """
    maps = dataset.arrays.get("maps")
    if kind is None:
        if dataset.counts_per_unit == 1.0 and maps is not None and not is_counts(maps):  # fractional counts of a fit
            return replace(dataset, counting=Counting("counts"))
        inferred = guess(maps) if maps is not None else None
        if inferred is None:
            return dataset
        notes = (
            dataset.notes
            if inferred == "counts" and dataset.seed is not None
            else (*dataset.notes, guess_note(inferred))
        )
        return replace(dataset, counting=Counting(inferred, guessed=True), notes=notes)
    if maps is None or maps.ndim != 3:
        raise UserError(where, "there are no maps", "remove the key")
    if float(known(maps).min()) < 0.0:
        raise UserError(where, f"is {kind}, but the maps hold negative values", "keep the background in the counts")
    if kind == "counts":
        if not is_counts(maps):
            likely = guess(maps)
            raise UserError(where, "is counts, but the maps are not counts", f"they look like {likely}")
        return replace(dataset, counting=Counting("counts"), counts_per_unit=1.0)
    return _converted(dataset, maps, kind, where)


def _converted(dataset: Dataset, maps: Array, kind: Kind, where: str) -> Dataset:
    names = _names(dataset, len(maps))
    units, fits = dict[str, float](), dict[str, MeanVariance]()
    for name, one in zip(names, maps, strict=True):
        if not known(one).any():
            units[name] = 1.0  # an empty map has no unit
        elif kind == "rates":
            units[name] = _step(one, name, where)
        else:
            fits[name] = _fit(one, name, where)
            units[name] = fits[name].factor
    column = np.array([units[name] for name in names]).reshape(-1, 1, 1)
    counts = maps / column
    if kind == "rates":
        np.rint(counts, out=counts)
    truth = dataset.truth
    if truth is not None and truth.shape == maps.shape:
        truth = truth / column
    exponents = {name: fit.exponent for name, fit in fits.items() if fit.exponent is not None}
    facts = Counting(kind, False, units, {name: fit.error for name, fit in fits.items()}, exponents)
    return replace(
        dataset,
        arrays={**dataset.arrays, "maps": counts, **_background(dataset, column)},
        truth=truth,
        counting=facts,
        counts_per_unit=1.0,
        notes=(*dataset.notes, *_notes(facts), *_shared(maps if kind == "fractions" else counts, names, kind)),
    )


def _background(dataset: Dataset, units: Array) -> dict[str, Array]:
    """The background is in the units of the maps."""
    background = dataset.arrays.get("maps_background")
    return {} if background is None else {"maps_background": background / units}


def _names(dataset: Dataset, number: int) -> tuple[str, ...]:
    names = dataset.stacks.get("maps", dataset.elements)
    return names if len(names) == number else tuple(str(place) for place in range(number))


def _step(one: Array, name: str, where: str) -> float:
    step = step_of(one)
    if step is None:
        problem = f"is rates, but the map of {name} has no smallest step, which would be one count"
        raise UserError(where, problem, "write fractions, which estimates effective counts from the noise")
    return step


def _fit(one: Array, name: str, where: str) -> MeanVariance:
    fit = mean_variance(one)
    if fit is None:
        problem = f"is fractions, but the map of {name} is too small or too smooth to estimate counts from its noise"
        raise UserError(where, problem, "remove the key, and give the poisson term a weight")
    return fit


def _shared(maps: Array, names: tuple[str, ...], kind: Kind) -> list[str]:
    """A note if smoothing removed noise, which makes the counts too large."""
    removed = shares_noise if kind == "fractions" else is_smoothed
    correlated = [name for name, one in zip(names, maps, strict=True) if removed(one)]
    if not correlated:
        return []
    which = f"The pixels of {', '.join(correlated)} share their noise, as if the maps were smoothed or interpolated"
    return [f"{which}: they hold fewer counts than this."]


def _notes(facts: Counting) -> list[str]:
    units = ", ".join(
        f"{name} {unit:.4g}" + (f" ± {100 * facts.errors[name]:.2g} %" if name in facts.errors else "")
        for name, unit in facts.units.items()
    )
    if facts.kind == "rates":
        return [f"The maps are rates and are converted to counts; one count is {units}, the smallest step."]
    notes = [f"The maps are fractions and are converted to effective counts by their noise; one count is {units}."]
    low, high = _COUNTS_LIKE
    odd = [f"{name} {p:.2g}" for name, p in facts.exponents.items() if not low < p < high]
    if odd:
        notes.append(
            "The noise of the maps is not that of counts: its variance grows with the mean to the power "
            f"{', '.join(odd)}, for counts to the power 1; the effective counts are those of the mean level."
        )
    return notes
