"""Derived step sizes: what several solvers start from."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from fusionkit.certificate import Certificate, norm
from fusionkit.errors import FusionkitWarning
from fusionkit.problem import Split
from fusionkit.terms import Array, HasDualBall

_PATIENCE = 3  # checks without progress before a step is shortened


def primal_step(split: Split, x: Array) -> float:
    r"""A primal step that balances primal and dual: :math:`\tau = \frac{1}{10} \|x\| / (\|p\| \|K\|)`.

    p is a subgradient of the composed terms at K x, so that tau has the units of x over those of p, whatever the
    units of the data. Full balance cycles where a HAADF term is weakly convex; a tenth of it is near the best step both
    on DyScO3 and on the CoS nanoparticle, whose best steps differ thirtyfold.

    Parameters
    ----------
    split : the problem, sorted.
    x : the starting point.
    """
    coupling = split.coupling
    images = coupling.apply(x, coupling.auxiliary_zeros(x.dtype))
    pull = sum(_subgradient_square(split, index, image) for index, image in enumerate(images)) ** 0.5
    length = sum(coupling.squared_norms()) ** 0.5
    size = norm(x)
    if not (size > 0.0 and pull > 0.0 and length > 0.0 and np.isfinite(pull)):
        return 1.0 / length if length > 0.0 else 1.0
    return 0.1 * size / (pull * length)


def _subgradient_square(split: Split, index: int, image: Array) -> float:
    """||p||^2 of a subgradient p of g_j at y = ``image``, which is overwritten: the prox of s g* at s y tends to it."""
    size = norm(image)
    if size == 0.0:
        return 0.0
    # a norm's dual ball is reached once s y lies outside of it at every pixel that counts; there p is no longer than y
    ball = isinstance(split.coupling.terms[index].functional, HasDualBall)
    s = 1e3 * (1.0 if ball else max(norm(split.coupling.proxdual(index, image, 1.0)) / size, 1.0))
    image *= image.dtype.type(s)
    return norm(split.coupling.proxdual(index, image, s)) ** 2


def dual_steps(
    split: Split, solver: str, primal: tuple[str, float], dual: tuple[str, float | None]
) -> tuple[float, ...]:
    """The dual step of each composed term: the longest with primal * sum_j dual_j ||K_j||^2 <= 1, in equal shares.

    Parameters
    ----------
    split : the problem, sorted.
    solver : its name, for the warning.
    primal, dual : names and values of the steps; a dual step that the user gives is taken, with a warning where it
        breaks the condition.
    """
    squares = split.coupling.squared_norms()
    (first, tau), (second, given) = primal, dual
    if given is None:
        return tuple(1.0 / (len(squares) * tau * square) if square else 1.0 / tau for square in squares)
    if tau * given * sum(squares) > 1.0 + 1e-6:
        warn_broken(
            solver,
            f"{first} {tau:g} and {second} {given:g} break {first} {second} ||K||^2 <= 1 (||K||^2 = {sum(squares):g})",
            f"{second} <= {1 / (tau * sum(squares)):.3g} would keep it",
        )
    return (given,) * len(squares)


@dataclass(frozen=True)
class StallRule:
    """Shortens a step that is too long for a weakly convex problem: where the certificate has stopped improving.

    Parameters
    ----------
    best : lowest optimality seen.
    waited : checks since it was seen.
    shrink : the share of the first step that is in use now.
    checks : how many there have been.
    """

    best: float = np.inf
    waited: int = 0
    shrink: float = 1.0
    checks: int = 0

    def judge(self, optimality: float) -> StallRule:
        """The rule after a check; compare ``shrink`` with the former one."""
        checks = self.checks + 1
        if optimality < 0.9 * self.best:
            return StallRule(optimality, 0, self.shrink, checks)
        # a long solve makes slower progress: what would be a pause at its start is none at its end
        if self.waited < max(_PATIENCE, checks // 5):
            return StallRule(self.best, self.waited + 1, self.shrink, checks)
        # the floor: a certificate that rounding holds up must not drive the step to nothing
        return StallRule(self.best, 0, max(0.6 * self.shrink, 0.15), checks)


@dataclass(frozen=True)
class Balance:
    """Balances primal and dual step by the two halves of the certificate; each change is smaller than the last.

    Where every term is convex, any ratio of the steps converges, and one that lets both halves fall together is fast.
    The alignment falls about as the square of the stationarity: to leave the steps alone where stationarity / alignment
    is 10 to 100 took the fewest iterations on small problems of every penalty. Where a term is not convex, a long step
    may cycle, and only a primal half that lags far behind (1000) lengthens it.
    Source: T. Goldstein et al., arXiv:1305.0546 (2013), there with residuals in place of the certificate.

    Parameters
    ----------
    strength : relative size of the next change.
    """

    strength: float = 0.5

    def judge(self, certificate: Certificate, convex: bool) -> tuple[Balance, float]:
        """The rule after a check, and the factor of the primal step (its inverse is that of the dual step)."""
        low, high = (10.0, 100.0) if convex else (0.0, 1000.0)
        longer = certificate.stationarity > high * certificate.alignment
        if not longer and certificate.stationarity >= low * certificate.alignment:
            return self, 1.0
        factor = 1.0 + self.strength
        return Balance(0.95 * self.strength), factor if longer else 1.0 / factor


def rests_on_curvature(split: Split) -> bool:
    """Whether a term is not convex, so that a step may be too long although it keeps the step condition."""
    return not all(term.convex for term in split.problem.terms)


def adapt_steps(
    split: Split, rule: StallRule, balance: Balance, certificate: Certificate
) -> tuple[StallRule, Balance, float]:
    """Both rules after a look, and the factor of the primal step: balance, and shorten where a term is not convex.

    There, a stationarity that lags behind the alignment asks for a longer step only while the optimality improves: a
    step that is too long leaves pixels that cycle, whose stationarity lags as well.
    """
    convex = not rests_on_curvature(split)
    if convex:
        return rule, *balance.judge(certificate, convex)
    new = rule.judge(certificate.optimality)
    if new.waited == 0 and new.shrink == rule.shrink:
        balance, factor = balance.judge(certificate, convex)
        return new, balance, factor
    return new, balance, new.shrink / rule.shrink


def warn_broken(solver: str, condition: str, remedy: str) -> None:
    """Warn that a user's step breaks the condition of convergence."""
    warnings.warn(f"solver {solver}: {condition}; {remedy}", FusionkitWarning, stacklevel=3)
