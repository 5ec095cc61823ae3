"""The cells of each part of the suite."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.accuracy.cells import Cell
from benchmarks.accuracy.methods import (
    ABLATION,
    ADAPTIVE,
    AUTO,
    BEST_ADAPTIVE,
    COMPARED,
    FITTED,
    GAUSSIAN,
    INTERVALS,
    JOINT_TGV,
    MAIN,
    REGULARISERS,
    SWEEP,
)
from benchmarks.accuracy.specimens import INDEPENDENT, MATCHED, SPECIMENS, Recording

DOSES = (1.0, 5.0, 20.0, 100.0, 1000.0)
JUDGED = (5.0, 20.0, 100.0)  # doses of the headline and of most targets
MIDDLE = 20.0  # dose of ablation and sweep, and of the scores of structure
RIVALS = "rivals"


@dataclass(frozen=True)
class Extent:
    """Size of the measurement.

    Parameters
    ----------
    size : pixels along an axis.
    headline : the same for the headline.
    seeds : recordings of each specimen and dose.
    doses : mean counts.
    """

    size: int = 128
    headline: int = 256
    seeds: int = 2
    doses: tuple[float, ...] = DOSES


QUICK = Extent(size=80, headline=96, seeds=1, doses=(5.0, 20.0))


def headline(extent: Extent) -> list[Cell]:
    """The nanoparticle at full size."""
    return [
        Cell(Recording("nanoparticle", extent.headline, dose, seed), method)
        for dose in JUDGED
        if dose in extent.doses
        for seed in range(extent.seeds)
        for method in (*MAIN, JOINT_TGV)
    ]


def main(extent: Extent) -> list[Cell]:
    """Every specimen at every dose by every method."""
    return [
        Cell(Recording(specimen, extent.size, dose, seed), method)
        for seed in range(extent.seeds)
        for specimen in SPECIMENS
        for dose in extent.doses
        for method in MAIN
    ]


def _nanoparticle(extent: Extent, methods: tuple[str, ...]) -> list[Cell]:
    dose = MIDDLE if MIDDLE in extent.doses else extent.doses[0]
    return [
        Cell(Recording("nanoparticle", extent.size, dose, s), name) for s in range(extent.seeds) for name in methods
    ]


def ablation(extent: Extent) -> list[Cell]:
    """One term dropped at a time."""
    return _nanoparticle(extent, (AUTO, *ABLATION))


def sweep(extent: Extent) -> list[Cell]:
    """The exponent that the solver assumes."""
    return _nanoparticle(extent, (*SWEEP, *FITTED))


def intervals(extent: Extent) -> list[Cell]:
    """Error bars by every method, at the doses with targets."""
    doses = [dose for dose in JUDGED if dose in extent.doses]
    return [
        Cell(Recording(specimen, extent.size, dose, 0), method)
        for specimen in SPECIMENS
        for dose in doses
        for method in INTERVALS
    ]


def choice(extent: Extent) -> list[Cell]:
    """The automatic choice of cos_adaptive, and the best weight for the truth."""
    return [
        Cell(Recording(specimen, extent.size, dose, seed), method)
        for seed in range(extent.seeds)
        for specimen in MATCHED
        for dose in JUDGED
        if dose in extent.doses
        for method in (ADAPTIVE, BEST_ADAPTIVE)
    ]


def regularisers(extent: Extent) -> list[Cell]:
    """Penalties other than TV."""
    doses = [dose for dose in JUDGED if dose in extent.doses]
    return [
        Cell(Recording(specimen, extent.size, dose, 0), method)
        for specimen in SPECIMENS
        for dose in doses
        for method in (GAUSSIAN, AUTO, *REGULARISERS)
    ]


def rivals(extent: Extent) -> list[Cell]:
    """fusionkit as users call it and other methods, also on specimens that do not follow the model."""
    return [
        Cell(Recording(specimen, extent.size, dose, seed), method)
        for seed in range(extent.seeds)
        for specimen in (*INDEPENDENT, *MATCHED)
        for dose in extent.doses
        for method in COMPARED
    ]


STUDIES = {
    RIVALS: rivals,
    "headline": headline,
    "main": main,
    "ablation": ablation,
    "gamma": sweep,
    "choice": choice,
    "intervals": intervals,
    "regularisers": regularisers,
}
