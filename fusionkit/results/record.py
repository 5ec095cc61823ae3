"""All that is known about one finished run: the source of its files and figures."""

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
    """One sentence on a run.

    Parameters
    ----------
    level : ``warning`` where something is probably wrong, else ``note``.
    text : the sentence.
    """

    level: Literal["warning", "note"]
    text: str


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    Parameters
    ----------
    result : the outcome of the solve.
    dataset : the data as the solver saw them.
    resolved_config : the whole configuration with every default filled in, as plain YAML types.
    model_haadf : the HAADF image that the forward model predicts from ``result.x``, (ny, nx), in the units of
        ``haadf``; None where the objective has no HAADF term.
    predictions : what other forward models predict from ``result.x``, by the name of the array that it is compared
        with; those of the maps only where they are not the unknown itself.
    seconds : wall time of the stages before writing: ``setup`` and ``solve``.
    warnings : warnings of the run, a sentence each.
    term_weights : weight of each term by its name.
    memory : bytes that the process was expected to hold at its peak; 0 if unknown.
    weights : chosen from the data, and how.
    uncertainty : error bars of the maps; None if not requested.
    compositions : atomic fractions, one a region.
    diagnostics : remarks on the run, warnings first.
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

    @property
    def models(self) -> dict[str, Array]:
        """Every prediction by the name of the array that it is compared with, ``haadf`` first where there is one."""
        if self.model_haadf is None:
            return dict(self.predictions)
        return {"haadf": self.model_haadf} | {k: v for k, v in self.predictions.items() if k != "haadf"}


def predictions_of(problem: Problem, x: Array) -> dict[str, Array]:
    """What each forward model predicts, by the name of the array that it is compared with; not the unknown itself."""
    fitted = [term for term in problem.terms if isinstance(term, Fitted)]
    predictions = {t.target: t.predict(x) for t in reversed(fitted) if t.target}
    if np.array_equal(predictions.get("maps", ()), x, equal_nan=True):
        del predictions["maps"]
    return predictions
