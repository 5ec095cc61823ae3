"""Derived step sizes and the rules that adapt them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from fusionkit.certificate import Certificate, norm
from fusionkit.engines.local_steps import LocalRule
from fusionkit.errors import FusionkitWarning
from fusionkit.problem import Split
from fusionkit.terms import Array, HasDualBall

SHARE = 0.1  # of the primal step that balances primal and dual
_PROX = 100.0  # primal step over ||x|| / ||gradient|| without composed terms: 10 to 1e5 take about as many iterations
_DRIFT = 0.7  # above it a stall is no orbit of pixels: with 0.3 to 0.7 solves take about as many iterations
_PATIENCE = 3  # checks without progress before a step is shortened


def primal_step(split: Split, x: Array) -> float:
    r"""A primal step that balances primal and dual: :math:`\tau = \frac{1}{10} \|x\| / (\|p\| \|K\|)`.

    p is a subgradient of the composed terms at K x, so tau has the units of x over those of p for data in any units.
    Full balance cycles with a weakly convex HAADF term; a tenth is near the best step on both DyScO3 and the CoS
    nanoparticle, whose best steps differ by a factor of 30.

    Parameters
    ----------
    split : the problem.
    x : the starting point.
    """
    coupling = split.coupling
    square = sum(_subgradient_square(split, index, image) for index, image in enumerate(coupling.apply(x)))
    dual = square**0.5
    length = sum(coupling.squared_norms()) ** 0.5
    size = norm(x)
    if length == 0.0:  # each step is a prox of the whole objective, which is to be solved by few of them
        slope = sum(norm(term.gradient(x)) ** 2 for term in split.pixelwise) ** 0.5
        return _PROX * size / slope if size > 0.0 and 0.0 < slope < np.inf else 1.0
    if not (size > 0.0 and dual > 0.0 and np.isfinite(dual)):
        return 1.0 / length
    return SHARE * size / (dual * length)


def _subgradient_square(split: Split, index: int, image: Array) -> float:
    """||p||^2 of a subgradient p of g_j at y = ``image``: the prox of s g* at s y tends to it; overwrites ``image``."""
    size = norm(image)
    if size == 0.0:
        return 0.0
    # for a norm, s y must lie outside its dual ball, of radius g(y) / ||y||, at every pixel that matters
    functional = split.coupling.terms[index].functional
    if isinstance(functional, HasDualBall):
        length = float(functional(image.ravel())) / size
    else:
        length = norm(split.coupling.proxdual(index, image, 1.0))
    s = 1e3 * max(length / size, 1.0)
    image *= image.dtype.type(s)
    return norm(split.coupling.proxdual(index, image, s)) ** 2


def dual_steps(
    split: Split, solver: str, primal: tuple[str, float], dual: tuple[str, float | None]
) -> tuple[float, ...]:
    """The dual step of each composed term: the longest with primal * sum_j dual_j ||K_j||^2 <= 1, in equal shares.

    Parameters
    ----------
    split : the problem.
    solver : its name, for the warning.
    primal, dual : names and values of the steps; a dual step given by the user is used, with a warning if it breaks
        the condition.
    """
    squares = split.coupling.squared_norms()
    (first, tau), (second, sigma) = primal, dual
    if sigma is None:
        return tuple(1.0 / (len(squares) * tau * square) if square else 1.0 / tau for square in squares)
    if tau * sigma * sum(squares) > 1.0 + 1e-6:
        warn_broken(
            solver,
            f"{first} {tau:g} and {second} {sigma:g} break {first} {second} ||K||^2 <= 1 (||K||^2 = {sum(squares):g})",
            f"use {second} <= {1 / (tau * sum(squares)):.3g}",
        )
    return (sigma,) * len(squares)


@dataclass(frozen=True)
class StallRule:
    """Shortens a step that is too long for a weakly convex problem, when the certificate stalls."""

    best: float = np.inf  # lowest optimality so far
    waited: int = 0  # checks since then
    shrink: float = 1.0  # the current step over the first one
    checks: int = 0  # number of checks so far
    least: float = 0.02  # lowest ``shrink``: a certificate limited by rounding must not drive the step to zero

    def update(self, optimality: float) -> StallRule:
        """The rule after a check; the step changes by the ratio of its ``shrink`` to the former one."""
        known = replace(self, checks=self.checks + 1)
        if optimality < 0.9 * self.best:
            return replace(known, best=optimality, waited=0)
        # a long solve progresses more slowly, so it may pause for longer
        if self.waited < max(_PATIENCE, known.checks // 5):
            return replace(known, waited=self.waited + 1)
        return replace(known, waited=0, shrink=max(0.6 * self.shrink, self.least))


@dataclass(frozen=True)
class Balance:
    """Balances primal and dual step by the two parts of the certificate; each change is smaller than the last.

    If every term is convex, any ratio of the steps converges, and one that lets both parts fall together is fast. The
    alignment falls about as the square of the stationarity: keeping the steps while stationarity / alignment is 10 to
    100 took the fewest iterations on small problems with every penalty.
    Source: T. Goldstein et al., arXiv:1305.0546 (2013), there with residuals in place of the certificate.
    """

    strength: float = 0.5  # relative size of the next change

    def update(self, certificate: Certificate, low: float = 10.0, high: float = 100.0) -> tuple[Balance, float]:
        """The rule after a check, and the factor of the primal step (its inverse is that of the dual step)."""
        longer = certificate.stationarity > high * certificate.alignment
        if not longer and certificate.stationarity >= low * certificate.alignment:
            return self, 1.0
        factor = 1.0 + self.strength
        return Balance(0.95 * self.strength), factor if longer else 1.0 / factor


def is_convex(split: Split) -> bool:
    """Whether every term is convex; otherwise a step may be too long although it satisfies the step condition."""
    return all(term.convex for term in split.problem.terms)


def adapt_steps(
    split: Split, rule: StallRule, balance: Balance, certificate: Certificate, backtracks: bool = False
) -> tuple[StallRule, Balance, float]:
    """Both rules after a check, and the factor of the primal step: balance it, or shorten it if a term is not convex.

    In the latter case only a solver that ``backtracks`` lengthens it, while the optimality improves or the step is at
    its shortest: elsewhere too long a step makes pixels cycle, whose stationarity lags as well.
    """
    if is_convex(split):
        return rule, *balance.update(certificate)
    new = rule.update(certificate.optimality)
    if backtracks and new.waited == 0 and new.shrink == rule.shrink:
        return (new, *balance.update(certificate, 0.0, 1000.0))
    return new, balance, new.shrink / rule.shrink


def adapt_local_steps(
    local: LocalRule, rule: StallRule, balance: Balance, certificate: Certificate, drift: float
) -> tuple[StallRule, Balance, float]:
    """As `adapt_steps` for local steps, which ``rule.shrink`` shortens twice where the problem is concave.

    So the step for all pixels may grow as well: if the stationarity lags while the optimality improves, unless the
    values turn back, and in a stall if they go on, by the ``drift`` of `fusionkit.engines.local_steps.PixelSteps`.
    """
    new = rule.update(certificate.optimality)
    if new.best < rule.best:
        changed, factor = balance.update(certificate, 1.0, local.high)
        return (new, balance, 1.0) if factor > 1.0 and drift < 0.0 else (new, changed, factor)
    if new.shrink < rule.shrink and drift > _DRIFT:
        return replace(new, shrink=rule.shrink), balance, 1.5
    return new, balance, new.shrink / rule.shrink


def warn_broken(solver: str, condition: str, remedy: str) -> None:
    """Warn that a step given by the user breaks the condition of convergence."""
    warnings.warn(f"solver {solver}: {condition}; {remedy}", FusionkitWarning, stacklevel=3)


def check_step(solver: str, step: float | None, curvature: float, most: int = 1) -> None:
    """Warn of a gradient step given by the user that is longer than ``most`` / L, L the curvature at the start."""
    if step is not None and step * curvature > most + 1e-6:
        condition = f"step {step:g} breaks step <= {most}/L (L = {curvature:.3g} at the start)"
        warn_broken(solver, condition, f"use step <= {most / curvature:.3g}")
