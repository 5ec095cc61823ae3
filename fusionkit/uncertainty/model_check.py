"""Checks of the assumptions of error bars: weights match the noise, and the models explain the data."""

import numpy as np

from fusionkit.data.counts.scale import step_of
from fusionkit.operators.fidelity import Fidelity
from fusionkit.problem import Problem
from fusionkit.terms import Array
from fusionkit.uncertainty.information import term_of_maps
from fusionkit.uncertainty.residuals import data_mean, image_noise_variance

_MATCH = 2.0  # factor between variances that is reported
# On matched phantoms at 5 to 100 counts the sums differ by up to 8 % (S in the nanoparticle at 5 counts); with an error
# of gamma of 0.1 by 13 to 39 %.
_DEPARTURE = 0.09
_CLEARLY = 3.0  # standard deviations of the noise


def model_warnings(problem: Problem, x: Array, drawn: bool = False) -> tuple[str, ...]:
    """A sentence on each term whose weight does not match its noise, or whose data the model does not explain.

    Parameters
    ----------
    problem : the objective.
    x : its solution.
    drawn : whether the error bars draw the actual noise of an image, so that its weight need not match it.
    """
    sentences = []
    for term in problem.terms:
        if not isinstance(term, Fidelity) or not term.noise or term.weight == 0:
            continue
        measured = ~np.isnan(term.data)
        mean = data_mean(term, x)[measured]
        variance, noise, source = _variance(term, mean), _visible_variance(term, mean), "that its weight implies"
        scatter = float(np.mean((term.data[measured] - mean) ** 2))
        if drawn and noise is not None and term.noise != "poisson":
            variance, source = noise, "of its noise"
        if noise is not None and not variance / _MATCH < noise < variance * _MATCH:
            remedy = "use 'weight: auto'" if noise > variance else "that is right only if its model is wrong by as much"
            sentences.append(
                f"Error bars assume that the weight of {term.name} matches its noise, but the visible noise in its "
                f"data has {noise / variance:.2g} times the variance: {remedy}."
            )
        elif scatter > _MATCH * variance:
            sentences.append(
                f"Error bars are too small where the model is wrong: the data of {term.name} deviate from it with "
                f"{scatter / variance:.2g} times the variance {source}."
            )
    return (*sentences, *_sum_warnings(problem, x))


def _sum_warnings(problem: Problem, x: Array) -> list[str]:
    """A sentence on each element whose fused map has far more or fewer counts than its data."""
    term = term_of_maps(problem.terms, x.shape)
    if term is None or term.noise != "poisson" or not problem.labels:
        return []
    (result, data), sentences = (term.measured(np.array(one)) for one in (data_mean(term, x), term.data)), []
    for index, name in enumerate(problem.labels):
        sum_fused, sum_data = float(result[index].sum()), float(data[index].sum(dtype=np.float64))
        change = sum_fused / sum_data - 1.0 if sum_data > 0 else 0.0
        if abs(change) > _DEPARTURE + _CLEARLY * (term.weight * max(sum_data, 1e-30)) ** -0.5:
            sentences.append(
                f"Error bars of {name} are too small: its fused map has {100 * abs(change):.0f} % "
                f"{'more' if change > 0 else 'less'} than its data, which noise does not explain. Are gamma, z and the "
                "elements right?"
            )
    return sentences


def _variance(term: Fidelity, mean: Array) -> float:
    """The mean variance that the weight implies."""
    return (_mean(mean) if term.noise == "poisson" else 1.0) / term.weight


def _visible_variance(term: Fidelity, mean: Array) -> float | None:
    """The variance from the data alone; the residual may be too small if the fit follows the noise."""
    if term.noise == "poisson":
        factor = step_of(term.data)
        return None if factor is None else factor * _mean(mean)
    return image_noise_variance(term)


def _mean(mean: Array) -> float:
    return max(float(np.mean(mean)), float(np.finfo(np.float32).tiny))
