"""The record of one finished run, from which its files and figures are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.problem import Problem
from fusionkit.result import Result
from fusionkit.terms import Array, Fitted
from fusionkit.weights.chosen import ChosenWeight

if TYPE_CHECKING:
    from fusionkit.uncertainty.atomic_fractions import Composition
    from fusionkit.uncertainty.intervals import Uncertainty


@dataclass(frozen=True)
class Diagnostic:
    """One sentence on a run."""

    level: Literal["warning", "note"]  # ``warning`` if something is probably wrong, else ``note``
    text: str  # the sentence


def warning(text: str) -> Diagnostic:
    """Something is probably wrong."""
    return Diagnostic("warning", text)


def note(text: str) -> Diagnostic:
    """Something to know."""
    return Diagnostic("note", text)


def percent(share: float) -> str:
    """``12.3 %``."""
    return f"{100.0 * share:.3g} %"


Level = Literal["good", "caution", "unusable"]
LEVELS: tuple[Level, ...] = ("good", "caution", "unusable")


@dataclass(frozen=True)
class Verdict:
    """Whether the fused maps can be believed.

    Parameters
    ----------
    level : the worst of all reasons.
    reasons : why it is not ``good``, a sentence each, the worst first.
    elements : level of each element.
    measures : numbers behind it, by name.
    """

    level: Level = "good"
    reasons: tuple[str, ...] = ()
    elements: Mapping[str, Level] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """For ``summary.json``."""
        lists = {"elements": dict(self.elements), "measures": dict(self.measures)}
        return {"level": self.level, "reasons": list(self.reasons), **lists}


@dataclass(frozen=True)
class NetCounts:
    """Counts of one map, or its sum in its own unit if it is not of counts."""

    # net, error: above the background, and their standard error
    net: float
    error: float
    fused: float  # of the fused map
    limit: float  # net counts below which the element is not detected
    epsilon: float = 0.0  # of the Poisson term, in all pixels; a background, or only there to keep the logarithm finite
    unit: str = "counts"  # ``counts``; empty if the map is not of counts

    @property
    def detected(self) -> bool:
        """Whether the net counts reach the limit of detection."""
        return self.net >= self.limit and self.net > 0.0

    def plain(self) -> dict[str, float | bool]:
        """For ``summary.json``."""
        values = {name: getattr(self, name) for name in ("net", "error", "fused", "limit")}
        return {name: float(f"{value:.6g}") for name, value in values.items()} | {"detected": self.detected}

    def spell(self) -> str:
        """``12,345 ± 111 counts, fused 12,400``, or that the element is not detected."""

        def number(value: float) -> str:
            return f"{value:,.0f}" if self.unit else f"{value:.4g}"

        words = f"{number(self.net)} ± {number(self.error)} {self.unit}".rstrip()
        return f"{words}, fused {number(self.fused)}" + ("" if self.detected else ", not detected")


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    Parameters
    ----------
    result : the outcome of the solve.
    dataset : the data as the solver saw them.
    resolved_config : the configuration including every default, as plain YAML types.
    model_haadf : the HAADF image that the forward model predicts from ``result.x``, (ny, nx), in the units of
        ``haadf``; None if the objective has no HAADF term.
    predictions : predictions of the other forward models from ``result.x``, by the name of the data; of the maps only
        if they differ from ``result.x``.
    seconds : wall time of the stages before writing, ``setup`` and ``solve``.
    warnings : warnings of the run, a sentence each.
    term_weights : weight of each term by name.
    memory : estimate of the peak memory of the process in bytes; 0 if unknown.
    weights : weights that were chosen from the data, and how.
    uncertainty : error bars of the maps; None if not requested.
    compositions : atomic fractions of each region.
    diagnostics : sentences on the run, warnings first.
    files : size and checksum of each input file by path.
    verdict : whether to believe the maps; None if not judged.
    counts : net counts by the name of the map.
    held_out : error of each map by element, if held-out counts were predicted for it.
    is_stopped : whether a signal ended the estimate of error bars.
    """

    result: Result
    dataset: Dataset
    resolved_config: Mapping[str, Any]
    model_haadf: Array | None = None
    predictions: Mapping[str, Array] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    term_weights: Mapping[str, float] = field(default_factory=dict)
    memory: int = 0
    weights: tuple[ChosenWeight, ...] = ()
    uncertainty: Uncertainty | None = None
    compositions: tuple[Composition, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    files: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict | None = None
    counts: Mapping[str, NetCounts] = field(default_factory=dict)
    held_out: Mapping[str, float] = field(default_factory=dict)
    is_stopped: bool = False

    @property
    def map_errors(self) -> Mapping[str, float]:
        """Root mean square error of each map from half of the counts by held-out ones; empty where unknown."""
        estimates = [one.map_errors for one in self.weights if one.map_errors and one.weight > 0.0]
        return estimates[-1] if estimates else self.held_out  # the last is that of the penalty

    @property
    def models(self) -> dict[str, Array]:
        """Every prediction by the name of its data, ``haadf`` first if there is one."""
        if self.model_haadf is None:
            return dict(self.predictions)
        return {"haadf": self.model_haadf} | {k: v for k, v in self.predictions.items() if k != "haadf"}


def predictions_of(problem: Problem, x: Array) -> dict[str, Array]:
    """The prediction of each forward model by the name of its data, without maps that are the unknown itself."""
    predictions = {t.target: t.predict(x) for t in reversed(problem.terms) if isinstance(t, Fitted) and t.target}
    if np.array_equal(predictions.get("maps", ()), x, equal_nan=True):
        del predictions["maps"]
    return predictions


def terms_of(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The terms of a resolved configuration; without any that is not a mapping."""
    terms = config.get("terms")
    return [term for term in terms if isinstance(term, Mapping)] if isinstance(terms, list | tuple) else []


def tolerance_of(config: Mapping[str, Any]) -> float | None:
    """The tolerance of the solver in a resolved configuration; None if there is none."""
    solver = config.get("solver")
    tolerance = solver.get("tolerance") if isinstance(solver, Mapping) else None
    return float(tolerance) if isinstance(tolerance, int | float) and tolerance > 0 else None
