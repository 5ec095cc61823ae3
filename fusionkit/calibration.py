r"""Fits parameters of a term together with the unknown: gain, offset and exponent of the elastic channel.

At each check, theta takes a Newton step towards the zero of its efficient score. With the residual
r = h(x; theta) - b_H of the image, the weight w of its term, directions :math:`q = \partial h / \partial\theta`, slopes
:math:`s = \partial h / \partial x`, and gradient G and expected information D of the other data on x at each pixel,

.. math::
    \delta\theta = -S^{-1} \sum_k v_k q_k (r_k - s_k^\top D_k^{-1} G_k), \qquad
    S = \sum_k v_k q_k q_k^\top, \qquad v_k = \Bigl(\frac1w + s_k^\top D_k^{-1} s_k\Bigr)^{-1} .

For counts b this is the regression of the image on :math:`h + s^\top (b - \varepsilon - x)`, the prediction from raw
counts, each pixel weighted by the inverse variance of noise and prediction. Errors of x do not enter to first order.
They would bias the joint minimum over x and theta: the penalty makes the maps too flat and too small, and a free gain
compensates (CoS phantom at 5 counts: 6 % too bright, here within its error). Least squares for theta at fixed x would
take thousands of steps if the image is more precise than the counts. S is the information on theta; its inverse is the
covariance if the weights are those of the noise.

S is the expectation of the score's slope. With few counts the slope may be twice that or more, and full steps overshoot
for ever; a step back is therefore that of the secant, :math:`\delta\theta / (1 + \rho)` after one of
:math:`-\delta\theta / \rho`.

Sources: G. Chamberlain, J. Econometrics 34, 305 (1987), for the bound; V. Chernozhukov et al., Econometrics J. 21, C1
(2018), for orthogonal scores; G. H. Golub, V. Pereyra, SIAM J. Numer. Anal. 10, 413 (1973), for the elimination of x.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from fusionkit.problem import Problem
from fusionkit.terms import Array, Calibrated, Fitted, Pixelwise, Term

_BLOCK = 1 << 18  # values of the unknown in a block
_LEAST_SHARE = 1e-6  # of a parameter in undetermined combinations, above rounding
_UNDETERMINED = 1e-9  # relative information below which the data do not determine a combination of parameters


@dataclass(frozen=True)
class Parameter:
    """A fitted parameter."""

    value: float  # the fit, in the parameter's unit
    # standard deviation if the objective is a negative log posterior; ``inf`` if the data do not determine it
    error: float


Steps = Mapping[str, Mapping[str, float]]  # by the name of the term and of the parameter


@dataclass(frozen=True)
class Refit:
    """A step of the fitted parameters."""

    problem: Problem  # with the new parameters
    change: float  # relative change of the predictions, 0 at the optimum
    parameters: Mapping[str, Mapping[str, Parameter]]  # before the step, by the name of the term and of the parameter
    steps: Steps  # of the parameters, by the same names


@runtime_checkable
class Restorable(Protocol):
    """A `fusionkit.terms.Calibrated` term that takes parameters as they are, so that checkpoints can hold them."""

    name: str

    def with_parameters(self, values: Mapping[str, float]) -> Term:
        """The term with these values of its ``parameters``."""
        ...


def fitted_terms(problem: Problem) -> tuple[Calibrated, ...]:
    """The terms with parameters to fit; one of weight 0 keeps those of the start."""
    return tuple(term for term in problem.terms if isinstance(term, Calibrated) and term.weight != 0.0)


def fitted_to(problem: Problem, x: Array) -> Problem:
    """The problem with the parameters that fit the fixed ``x`` best, as at the start of a solve."""
    return _with(problem, {term.name: term.fitted_to(x) for term in problem.terms if isinstance(term, Calibrated)})


def with_parameters(problem: Problem, values: Mapping[str, Mapping[str, float]]) -> Problem:
    """The problem with these parameters of its fitted terms, which are `Restorable`."""
    terms = [term for term in fitted_terms(problem) if isinstance(term, Restorable) and term.name in values]
    return _with(problem, {term.name: term.with_parameters(values[term.name]) for term in terms})


def refit(problem: Problem, x: Array, former: Steps | None = None) -> Refit:
    """One Newton step of every fitted parameter at the unknown ``x`` (n, ny, nx), after the ``former`` steps."""
    moved: dict[str, Term] = {}
    taken: dict[str, Mapping[str, float]] = {}
    parameters: dict[str, dict[str, Parameter]] = {}
    change = 0.0
    for term in fitted_terms(problem):
        sums = _sums(problem, term, x)
        names = tuple(term.parameters)
        steps = sums.steps(names)
        fixed = term.at_limit(steps)
        if fixed:
            steps = sums.steps(tuple(name for name in names if name not in fixed), names)
        before = (former or {}).get(term.name, {})
        step, last = (np.array([one.get(name, 0.0) for name in names]) for one in (steps, before))
        share = sums.share(step, last)
        taken[term.name] = {name: share * value for name, value in steps.items()} if share < 1.0 else steps
        moved[term.name] = term.stepped(taken[term.name])
        change = max(change, sums.change(step))
        errors = term.errors(dict(zip(names, sums.errors(), strict=True)))
        parameters[term.name] = {name: Parameter(value, errors[name]) for name, value in term.parameters.items()}
    return Refit(_with(problem, moved), change, parameters, taken)


def spell(parameters: Mapping[str, Mapping[str, Parameter]]) -> tuple[str, ...]:
    """A sentence for each term with fitted parameters."""
    return tuple(
        f"{term}: {', '.join(f'{name} = {one.value:.5g} ± {one.error:.2g}' for name, one in named.items())}, fitted "
        "together with the maps."
        for term, named in parameters.items()
    )


@dataclass(frozen=True)
class _Sums:
    """Sums over all pixels: the score, the information S, q q' and the squared prediction."""

    gradient: Array
    information: Array
    lengths: Array
    prediction: float

    def steps(self, free: tuple[str, ...], names: tuple[str, ...] = ()) -> dict[str, float]:
        """The Newton step of the parameters ``free``; the others of ``names`` are fixed."""
        indices = [(names or free).index(name) for name in free]
        inverse = _inverse(self.information[np.ix_(indices, indices)])
        return dict(zip(free, (-inverse @ self.gradient[indices]).tolist(), strict=True))

    def errors(self) -> list[float]:
        """Standard deviation of each parameter; ``inf`` if the data leave a combination with it undetermined."""
        scale = np.sqrt(np.diag(self.information))
        scale[scale == 0.0] = 1.0
        values, vectors = np.linalg.eigh(self.information / np.outer(scale, scale))
        determined = values > _UNDETERMINED
        errors = np.sqrt(vectors[:, determined] ** 2 @ (1.0 / values[determined])) / scale
        open_ = np.sum(vectors[:, ~determined] ** 2, axis=1) > _LEAST_SHARE
        return np.where(open_, np.inf, errors).tolist()

    def share(self, step: Array, last: Array) -> float:
        """The part of a step that is taken: all of it, unless it leads back along the last one."""
        along, length = float(step @ self.lengths @ last), float(last @ self.lengths @ last)
        return 1.0 if length == 0.0 or along >= 0.0 else length / (length - along)

    def change(self, step: Array) -> float:
        """Relative change of the prediction."""
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
        slope, information_of_others = _others(problem, term, part, rows)
        # only this image depends on an element there
        alone = np.any((information_of_others == 0.0) & (line.slope != 0.0), axis=0)
        lever = np.divide(
            line.slope,
            information_of_others,
            out=np.zeros_like(information_of_others),
            where=information_of_others != 0.0,
        )
        variance = (1.0 / line.weight if line.weight else np.inf) + np.sum(lever * line.slope, axis=0)
        effective = np.where(alone, 0.0, 1.0 / variance).ravel()
        q = line.directions.reshape(count, -1)
        gradient += q @ (effective * (line.residual - np.sum(lever * slope, axis=0)).ravel())
        information += (q * effective) @ q.T
        lengths += q @ q.T
        prediction += float(np.sum(np.square(line.prediction, dtype=np.float64)))
    return _Sums(gradient, information, lengths, prediction)


def _others(problem: Problem, term: Calibrated, x: Array, rows: slice) -> tuple[Array, Array]:
    """Gradient and expected information of the other data at each value of the block, of the shape of ``x``."""
    gradient, information = np.zeros(x.shape), np.zeros(x.shape)
    for other in problem.terms:
        # a pixelwise penalty is no further measurement: it would bias theta as the joint minimum does
        if isinstance(other, Pixelwise) and isinstance(other, Fitted) and not isinstance(other, Calibrated):
            gradient += other.expand(x, rows).gradient
            information += other.information(x, rows)
    return gradient, information


def _inverse(matrix: Array) -> Array:
    """The inverse on the combinations of parameters that the data determine."""
    scale = np.sqrt(np.diag(matrix))
    scale[scale == 0.0] = 1.0
    return np.linalg.pinv(matrix / np.outer(scale, scale), rcond=_UNDETERMINED, hermitian=True) / np.outer(scale, scale)


def _with(problem: Problem, moved: Mapping[str, Term]) -> Problem:
    return replace(problem, terms=tuple(moved.get(term.name, term) for term in problem.terms))
