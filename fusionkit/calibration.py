r"""Parameters of terms that are fitted together with the unknown: gain, offset and exponent of the elastic channel.

At a check of the solve, theta takes a Newton step towards the zero of its efficient score. With the image's residual
r = h(x; theta) - b_H and the weight w of its term, the directions :math:`q = \partial h / \partial\theta`, the slopes
:math:`s = \partial h / \partial x`, and gradient G and expected information D of the other data on x at each pixel,

.. math::
    \delta\theta = -S^{-1} \sum_k v_k q_k (r_k - s_k^\top D_k^{-1} G_k), \qquad
    S = \sum_k v_k q_k q_k^\top, \qquad v_k = \Bigl(\frac1w + s_k^\top D_k^{-1} s_k\Bigr)^{-1} .

For counts b it is the regression of the image on :math:`h + s^\top (b - \varepsilon - x)`, what the raw counts predict
about x, each pixel by the variance of the image's noise and of that prediction. An error of x does not enter to first
order. It would enter the joint minimum of the objective over x and theta: there the penalty makes the maps too flat and
too small, and a free gain lets it (CoS phantom at 5 counts: 6 % too bright, instead of within its error). Nor does it
take the thousands of steps that the least squares of theta at fixed x does where the image is more precise than the
counts. S is the information on theta, its inverse the covariance where the weights are those of the noise.

Sources: G. Chamberlain, J. Econometrics 34, 305 (1987), for the bound; V. Chernozhukov et al., Econometrics J. 21, C1
(2018), for orthogonal scores; G. H. Golub, V. Pereyra, SIAM J. Numer. Anal. 10, 413 (1973), for elimination of x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fusionkit.problem import Problem
from fusionkit.terms import Array, Calibrated, Pixelwise, Term

_BLOCK = 1 << 18  # values of the unknown that are looked at together
_PART = 1e-6  # of a parameter in combinations that are not known: more than rounding
_BLIND = 1e-9  # of the information on the best-known combination of parameters: below it a combination is not known


@dataclass(frozen=True)
class Parameter:
    """A fitted parameter.

    Parameters
    ----------
    value : as fitted, in its own unit.
    error : standard deviation where the objective is a negative log posterior; ``inf`` where the data do not tell.
    """

    value: float
    error: float


@dataclass(frozen=True)
class Refit:
    """A step of the fitted parameters.

    Parameters
    ----------
    problem : with the parameters moved.
    change : length of the change of the predictions over their length: 0 at the optimum.
    parameters : before the step, by the name of the term and their own.
    """

    problem: Problem
    change: float
    parameters: Mapping[str, Mapping[str, Parameter]]


def fitted_terms(problem: Problem) -> tuple[Term, ...]:
    """The terms that have parameters to fit."""
    return tuple(term for term in problem.terms if isinstance(term, Calibrated))


def matched(problem: Problem, x: Array) -> Problem:
    """The problem with the parameters that are best for ``x`` as it is: where a solve starts."""
    return _with(problem, {term.name: term.matched(x) for term in problem.terms if isinstance(term, Calibrated)})


def refit(problem: Problem, x: Array) -> Refit:
    """One step of every fitted parameter at ``x``.

    Parameters
    ----------
    problem : with at least one such term.
    x : the unknown, shape (n, ny, nx).
    """
    moved: dict[str, Term] = {}
    parameters: dict[str, dict[str, Parameter]] = {}
    change = 0.0
    for term in problem.terms:
        if not isinstance(term, Calibrated):
            continue
        sums = _sums(problem, term, x)
        names = tuple(term.parameters)
        steps = sums.steps(names)
        held = term.held(steps)
        if held:
            steps = sums.steps(tuple(name for name in names if name not in held), names)
        moved[term.name] = term.moved(steps)
        change = max(change, sums.change(np.array([steps.get(name, 0.0) for name in names])))
        errors = term.errors(dict(zip(names, sums.errors(), strict=True)))
        parameters[term.name] = {name: Parameter(value, errors[name]) for name, value in term.parameters.items()}
    return Refit(_with(problem, moved), change, parameters)


def spell(parameters: Mapping[str, Mapping[str, Parameter]]) -> tuple[str, ...]:
    """A sentence for each term with fitted parameters."""
    return tuple(
        f"{term}: {', '.join(f'{name} = {one.value:.5g} ± {one.error:.2g}' for name, one in named.items())}, fitted "
        "together with the maps."
        for term, named in parameters.items()
    )


@dataclass(frozen=True)
class _Sums:
    """Sums over all pixels: the score, the information S, q q', and the squared prediction."""

    gradient: Array
    information: Array
    lengths: Array
    prediction: float

    def steps(self, free: tuple[str, ...], names: tuple[str, ...] = ()) -> dict[str, float]:
        """The Newton step of the parameters ``free``; the others of ``names`` stay."""
        chosen = [(names or free).index(name) for name in free]
        inverse = _inverse(self.information[np.ix_(chosen, chosen)])
        return dict(zip(free, (-inverse @ self.gradient[chosen]).tolist(), strict=True))

    def errors(self) -> list[float]:
        """Standard deviation of each parameter; ``inf`` where a combination that it takes part in is not known."""
        scale = np.sqrt(np.diag(self.information))
        scale[scale == 0.0] = 1.0
        values, vectors = np.linalg.eigh(self.information / np.outer(scale, scale))
        known = values > _BLIND
        errors = np.sqrt(vectors[:, known] ** 2 @ (1.0 / values[known])) / scale
        blind = np.sum(vectors[:, ~known] ** 2, axis=1) > _PART
        return np.where(blind, np.inf, errors).tolist()

    def change(self, step: Array) -> float:
        """Length of the change of the prediction over its length."""
        return float(np.sqrt(step @ self.lengths @ step / self.prediction)) if self.prediction > 0.0 else 0.0


def _sums(problem: Problem, term: Calibrated, x: Array) -> _Sums:
    count = len(term.parameters)
    gradient, information, lengths = np.zeros(count), np.zeros((count, count)), np.zeros((count, count))
    prediction = 0.0
    height = max(1, _BLOCK // (x.shape[0] * x.shape[2]))
    for first in range(0, x.shape[1], height):
        rows = slice(first, min(first + height, x.shape[1]))
        part = x[:, rows]
        line = term.linearise(part, rows)
        pull, known = _others(problem, term, part, rows)
        blind = np.any((known == 0.0) & (line.slope != 0.0), axis=0)  # nothing but this image knows an element
        lever = np.divide(line.slope, known, out=np.zeros_like(known), where=known != 0.0)
        variance = (1.0 / line.weight if line.weight else np.inf) + np.sum(lever * line.slope, axis=0)
        effective = np.where(blind, 0.0, 1.0 / variance).ravel()
        q = line.directions.reshape(count, -1)
        gradient += q @ (effective * (line.residual - np.sum(lever * pull, axis=0)).ravel())
        information += (q * effective) @ q.T
        lengths += q @ q.T
        prediction += float(np.sum(np.square(line.prediction, dtype=np.float64)))
    return _Sums(gradient, information, lengths, prediction)


def _others(problem: Problem, term: Calibrated, x: Array, rows: slice) -> tuple[Array, Array]:
    """Gradient and expected information of the other data at each value of the block, of the shape of ``x``."""
    pull, known = np.zeros(x.shape), np.zeros(x.shape)
    for other in problem.terms:
        if isinstance(other, Pixelwise) and other is not term and not isinstance(other, Calibrated):
            pull += other.expand(x, rows).gradient
            known += other.information(x, rows)
    return pull, known


def _inverse(matrix: Array) -> Array:
    """The inverse, without the combinations of parameters of which nothing is known."""
    scale = np.sqrt(np.diag(matrix))
    scale[scale == 0.0] = 1.0
    return np.linalg.pinv(matrix / np.outer(scale, scale), rcond=_BLIND, hermitian=True) / np.outer(scale, scale)


def _with(problem: Problem, moved: Mapping[str, Term]) -> Problem:
    return replace(problem, terms=tuple(moved.get(term.name, term) for term in problem.terms))
