"""Whether weights are those of the noise and models explain the data, which error bars take for granted."""

from __future__ import annotations

import numpy as np

from fusionkit.data.counts.scale import step_of
from fusionkit.operators.fidelity import Fidelity
from fusionkit.problem import Problem
from fusionkit.terms import Array
from fusionkit.uncertainty.information import of_maps
from fusionkit.uncertainty.residuals import mean_of, seen_in_image

_MATCH = 2.0  # factor between variances at which the user is told
# On matched phantoms at 5 to 100 counts the sums depart by up to 8 %, S in the nanoparticle at 5 counts; with a gamma
# that is 0.1 off by 13 to 39 %.
_DEPARTURE = 0.09
_CLEARLY = 3.0  # standard deviations of the noise


def mismatches(problem: Problem, x: Array, drawn: bool = False) -> tuple[str, ...]:
    """What to say of each term whose weight is not that of its noise, or whose data the model does not explain.

    Parameters
    ----------
    problem : the objective.
    x : its solution.
    drawn : whether the error bars draw the noise that an image has, so that its weight need not be that of its noise.
    """
    said = []
    for term in problem.terms:
        if not isinstance(term, Fidelity) or not term.noise or term.weight == 0:
            continue
        mean = mean_of(term, x)
        variance, seen, whose = _variance(term, mean), _seen(term, mean), "that its weight stands for"
        scatter = float(np.mean((term.data - mean) ** 2))
        if drawn and seen is not None and term.noise != "poisson":
            variance, whose = seen, "of its noise"
        if seen is not None and not variance / _MATCH < seen < variance * _MATCH:
            remedy = "use 'weight: auto'" if seen > variance else "right where the rest is how far its model is off"
            said.append(
                f"Error bars take the weight of {term.name} for that of its noise, but the noise seen in its data has "
                f"{seen / variance:.2g} times the variance: {remedy}."
            )
        elif scatter > _MATCH * variance:
            said.append(
                f"Error bars are too small where the model is wrong: the data of {term.name} scatter about it with "
                f"{scatter / variance:.2g} times the variance {whose}."
            )
    return (*said, *_departures(problem, x))


def _departures(problem: Problem, x: Array) -> list[str]:
    """A sentence on each element whose fused map holds far more or fewer counts than its data."""
    term = of_maps(problem.terms, x.shape)
    if term is None or term.noise != "poisson" or not problem.labels:
        return []
    found, said = mean_of(term, x), []
    for index, name in enumerate(problem.labels):
        sum_found, sum_known = float(found[index].sum()), float(term.data[index].sum(dtype=np.float64))
        change = sum_found / sum_known - 1.0 if sum_known > 0 else 0.0
        if abs(change) > _DEPARTURE + _CLEARLY * (term.weight * max(sum_known, 1e-30)) ** -0.5:
            said.append(
                f"Error bars of {name} are too small: its fused map holds {100 * abs(change):.0f} % "
                f"{'more' if change > 0 else 'less'} than its data, which no noise explains. Are gamma, z and the "
                "elements right?"
            )
    return said


def _variance(term: Fidelity, mean: Array) -> float:
    """What the weight stands for, on average."""
    return (_mean(mean) if term.noise == "poisson" else 1.0) / term.weight


def _seen(term: Fidelity, mean: Array) -> float | None:
    """The variance that the data have by themselves; a fit may follow them too closely for its residual to tell."""
    if term.noise == "poisson":
        factor = step_of(term.data)
        return None if factor is None else factor * _mean(mean)
    return seen_in_image(term)


def _mean(mean: Array) -> float:
    return max(float(np.mean(mean)), float(np.finfo(np.float32).tiny))
