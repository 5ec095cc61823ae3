r"""SciPy's L-BFGS-B on a smoothed objective, with a continuation that lowers the smoothing.

Smooth terms enter as they are. Every functional g of a linear map is replaced by its Moreau envelope

.. math::
    g_\mu(y) = \min_z \ g(z) + \tfrac{1}{2\mu} \|y - z\|^2 , \qquad
    \nabla g_\mu(y) = \tfrac{1}{\mu} (y - \mathrm{prox}_{\mu g}(y)) = p ,

which turns TV into Huber-TV: rounded off where the gradient is shorter than mu times the weight. p is feasible for the
exact problem, so that the certificate, which judges the exact problem, needs nothing else. With g Lipschitz (constant
lambda at each of N pixels) the objectives differ by at most :math:`\mu \lambda^2 N / 2`.

One iteration is one run of SciPy with a bounded number of inner iterations from the current x, in float64. mu starts at
:math:`\|K\|^2 / L`, L being the curvature of the smooth terms, where the smoothed functional is as well conditioned as
they are. It is lowered, to a quarter at most, until the alignment that the smoothing costs is within the tolerance.

Sources: R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, SIAM J. Sci. Comput. 16, 1190 (1995); A. Beck, M. Teboulle, SIAM J.
Optim. 22, 557 (2012) (smoothing by the Moreau envelope).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from fusionkit.certificate import Certificate, inner
from fusionkit.machine import Held
from fusionkit.options import NonNegative, Positive
from fusionkit.problem import Slots, Split
from fusionkit.solver import Count, Solver, SolverOptions, State
from fusionkit.solvers.forward_step import curvature_between, gradient_of, value_of
from fusionkit.terms import Array, Arrays, Differentiable

_SLOWEST = 0.25  # mu falls by this factor at most, so that the start of the next run is a good one
_MARGIN = 0.7  # of the tolerance: what the smoothing may use up, since alignment falls about as fast as mu
_NEAR = 10.0  # stationarity within this factor of alignment: near enough to the minimiser to move on to the next mu
_INNER = 30  # iterations in one step, a few seconds on (3, 256, 256); more where that takes no longer
_WORK = 6_000_000  # iterations times unknowns that count as no longer
_FINEST = 1e-6  # alignment below which mu is not lowered any further: the rounding of float32 hides the rest


class LBFGSBOptions(SolverOptions):
    """Options of `LBFGSB`.

    Parameters
    ----------
    tolerance : as for every solver. 1e-3 is the default here: the curvature of the smoothed terms grows as 1/mu, so
        that each further digit costs several times the time.
    check_every : as for every solver; the smoothing is lowered after checks only.
    smoothing : final mu of every composed functional, in units of (K x)^2 / F; None lowers it until the tolerance is
        met.
    inner_iterations : iterations of SciPy in one step; None takes 30, and more for small problems. The loop can stop,
        and the approximation of the Hessian starts anew, between steps only.
    corrections : pairs that approximate the Hessian; SciPy's own share of the time grows with them.
    """

    tolerance: NonNegative = 1e-3
    check_every: Count | None = 1
    smoothing: Positive | None = None
    inner_iterations: Count | None = None
    corrections: Count = 5


@dataclass(frozen=True)
class LBFGSBState(State):
    """The iterate and the smoothing of each composed functional."""

    smoothings: tuple[float, ...]


class LBFGSB(Solver[LBFGSBState]):
    """L-BFGS-B on smooth terms and Moreau envelopes, within the bounds."""

    name = "lbfgsb"
    slots = Slots(smooth=True, proximable=False)

    def __init__(self, options: LBFGSBOptions) -> None:
        super().__init__(options)
        self.options: LBFGSBOptions = options

    def memory(self, split: Split) -> Held:
        """SciPy keeps 2 m + 5 arrays in float64 for m corrections."""
        kept = 2 * self.options.corrections + 5
        return Held(7 + kept * np.dtype(np.float64).itemsize / split.problem.dtype.itemsize, 5)

    def init(self, split: Split, x0: Array) -> LBFGSBState:
        """The first smoothing, from the curvature of the smooth terms at ``x0``."""
        lipschitz = curvature_between(split, x0, gradient_of(split.smooth, x0))
        smoothings = tuple((square or 1.0) / lipschitz for square in split.coupling.squared_norms())
        if self.options.smoothing is not None:
            smoothings = tuple(max(mu, self.options.smoothing) for mu in smoothings)
        none = split.coupling.auxiliary_zeros(x0.dtype)
        return LBFGSBState(x0, none, envelope_gradients(split, x0, smoothings), smoothings)

    def step(self, split: Split, state: LBFGSBState) -> LBFGSBState:
        """One run of SciPy."""
        shape = state.x.shape
        iterations = self.options.inner_iterations or min(max(_INNER, _WORK // state.x.size), 1000)
        lower, upper = (np.broadcast_to(bound, shape).ravel() for bound in (split.bounds.lower, split.bounds.upper))

        def objective(flat: Array) -> tuple[float, Array]:
            value, gradient = smoothed(split, flat.reshape(shape), state.smoothings)
            return value, gradient.ravel()

        found = minimize(
            objective,
            split.bounds.prox(state.x.astype(np.float64), 1.0).ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([lower, upper], axis=1),
            # the certificate decides when to stop
            options={
                "maxiter": iterations,
                "maxcor": self.options.corrections,
                "ftol": 0,
                "gtol": 0,
            },
        )
        x = found.x.reshape(shape)
        duals = envelope_gradients(split, x, state.smoothings)
        dtype = state.x.dtype
        return replace(state, x=x.astype(dtype), duals=tuple(p.astype(dtype, copy=False) for p in duals))

    def adapt(self, split: Split, state: LBFGSBState, certificate: Certificate) -> LBFGSBState:
        """Lower the smoothing where it is what is left of the error."""
        wanted = _FINEST if self.options.smoothing is not None else max(self.options.tolerance, _FINEST)
        # differentiable terms are judged by their own gradient: smoothing them shows in the stationarity
        lone = all(isinstance(term, Differentiable) for term in split.coupling.terms)
        misfit = certificate.stationarity if lone else certificate.alignment
        if misfit <= wanted or certificate.stationarity > _NEAR * misfit:
            return state
        factor = max(_SLOWEST, _MARGIN * wanted / misfit)
        final = self.options.smoothing or 0.0
        smoothings = tuple(max(factor * mu, final) for mu in state.smoothings)
        return replace(state, smoothings=smoothings)

    def steps(self, state: LBFGSBState) -> dict[str, float]:
        """mu of each composed functional."""
        return {f"smoothing_{i}": mu for i, mu in enumerate(state.smoothings)}

    def notes(self, split: Split, state: LBFGSBState) -> tuple[str, ...]:
        """What was smoothed, and how strongly."""
        return tuple(
            f"{self.name}: the term '{term.name}' was replaced by its Moreau envelope with mu = {mu:.3g}; "
            "objective and optimality are those of the exact problem"
            for term, mu in zip(split.coupling.terms, state.smoothings, strict=True)
        )


def smoothed(split: Split, x: Array, smoothings: tuple[float, ...]) -> tuple[float, Array]:
    """Value (float64) and gradient at ``x`` of the smooth terms and the Moreau envelopes."""
    coupling = split.coupling
    images = coupling.apply(x, coupling.auxiliary_zeros(x.dtype))
    value, slopes = value_of(split.smooth, x), []
    for index, (image, mu) in enumerate(zip(images, smoothings, strict=True)):
        nearest = coupling.prox(index, image, mu)
        value += float(coupling.terms[index].functional(nearest.ravel()))
        image -= nearest
        value += inner(image, image) / (2.0 * mu)
        image *= 1.0 / mu
        slopes.append(image)
    gradient = gradient_of(split.smooth, x)
    gradient += coupling.adjoint(slopes, np.empty_like(x))
    return value, gradient


def envelope_gradients(split: Split, x: Array, smoothings: tuple[float, ...]) -> Arrays:
    """The gradient of each Moreau envelope at its image of ``x``: dual variables, feasible for the exact problem."""
    coupling = split.coupling
    images = coupling.apply(x, coupling.auxiliary_zeros(x.dtype))
    return tuple(
        (image - coupling.prox(index, image, mu)) / image.dtype.type(mu)
        for index, (image, mu) in enumerate(zip(images, smoothings, strict=True))
    )
