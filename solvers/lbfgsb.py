r"""SciPy's L-BFGS-B on a smoothed objective, with continuation in the smoothing.

Smooth terms stay. The Moreau envelope replaces every functional g of a linear map:

.. math::
    g_\mu(y) = \min_z \ g(z) + \tfrac{1}{2\mu} \|y - z\|^2 , \qquad
    \nabla g_\mu(y) = \tfrac{1}{\mu} (y - \mathrm{prox}_{\mu g}(y)) = p ,

This turns TV into Huber TV, quadratic where the gradient is shorter than mu times the weight. p is feasible for the
exact problem, so the certificate is that of the exact problem. For g Lipschitz (constant lambda at N pixels each) the
objectives differ by at most :math:`\mu \lambda^2 N / 2`.

One iteration is one run of SciPy from the current x, in float64 and with a limit of inner iterations. mu starts at
:math:`\|K\|^2 / L`, L the curvature of the smooth terms, where the smoothed functional is as well conditioned as they
are. It falls, at most to a quarter each time, until the alignment due to the smoothing is within the tolerance.

Sources: R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, SIAM J. Sci. Comput. 16, 1190 (1995); A. Beck, M. Teboulle, SIAM J.
Optim. 22, 557 (2012) (smoothing by the Moreau envelope).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import fmin_l_bfgs_b

from fusionkit.certificate import Certificate, inner
from fusionkit.machine import Held
from fusionkit.options import NonNegative, Positive
from fusionkit.problem import Slots, Split
from fusionkit.solver import Count, Solver, SolverOptions, State
from fusionkit.solvers.forward_step import curvature_between, gradient_of, value_of
from fusionkit.terms import Array, Arrays, Differentiable

_LARGEST_CUT = 0.25  # mu falls by this factor at most, so that each run starts near its solution
_MARGIN = 0.7  # of the tolerance, left to the smoothing: alignment falls about as fast as mu
_NEAR = 10.0  # stationarity within this factor of alignment: near enough to the minimiser to lower mu
_INNER = 30  # least iterations in one step, a few seconds on (3, 256, 256)
_WORK = 6_000_000  # iterations times unknowns in one step of a small problem
_FINEST = 1e-6  # alignment below which mu stays: rounding in float32 hides the rest


class LBFGSBOptions(SolverOptions):
    """Options of `LBFGSB`.

    Parameters
    ----------
    tolerance : as for every solver. The default is 1e-3: the curvature of the smoothed terms grows as 1/mu, so each
        further digit multiplies the time.
    check_every : as for every solver; the smoothing only falls after checks.
    smoothing : final mu of every composed functional, in units of (K x)^2 / F; None lowers it until the tolerance is
        met.
    inner_iterations : iterations of SciPy in one step; None takes 30, and more for small problems. Only between steps
        can the loop stop; each step approximates the Hessian anew.
    corrections : pairs that approximate the Hessian; more take more time in SciPy.
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
    options: LBFGSBOptions

    def memory(self, split: Split) -> Held:
        """SciPy holds 2 m + 5 arrays in float64 for m corrections."""
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

    def warmed(self, split: Split, state: LBFGSBState, steps: Mapping[str, float]) -> LBFGSBState:
        """The former smoothing, of which the duals are gradients."""
        return replace(state, smoothings=tuple(steps.get(name, mu) for name, mu in self.steps(state).items()))

    def step(self, split: Split, state: LBFGSBState) -> LBFGSBState:
        """One run of SciPy."""
        shape = state.x.shape
        iterations = self.options.inner_iterations or min(max(_INNER, _WORK // state.x.size), 1000)
        lower, upper = (np.broadcast_to(bound, shape).ravel() for bound in (split.bounds.lower, split.bounds.upper))

        def objective(flat: Array) -> tuple[float, Array]:
            value, gradient = smoothed(split, flat.reshape(shape), state.smoothings)
            return value, gradient.ravel()

        found, _, _ = fmin_l_bfgs_b(  # `minimize` would convert the bounds twice more, pixel by pixel
            objective,
            split.bounds.prox(state.x.astype(np.float64), 1.0).ravel(),
            bounds=np.stack([lower, upper], axis=1),
            m=self.options.corrections,
            factr=0,  # the certificate decides when to stop
            pgtol=0,
            maxiter=iterations,
        )
        x = found.reshape(shape)
        duals = envelope_gradients(split, x, state.smoothings)
        dtype = state.x.dtype
        return replace(state, x=x.astype(dtype), duals=tuple(p.astype(dtype, copy=False) for p in duals))

    def adapt(self, split: Split, state: LBFGSBState, certificate: Certificate) -> LBFGSBState:
        """Lower the smoothing when it dominates the error."""
        target = _FINEST if self.options.smoothing is not None else max(self.options.tolerance, _FINEST)
        # differentiable terms enter the certificate by their gradient: smoothing shows in the stationarity
        by_gradient = all(isinstance(term, Differentiable) for term in split.coupling.terms)
        error = certificate.stationarity if by_gradient else certificate.alignment
        if error <= target or certificate.stationarity > _NEAR * error:
            return state
        factor = max(_LARGEST_CUT, _MARGIN * target / error)
        final = self.options.smoothing or 0.0
        smoothings = tuple(max(factor * mu, final) for mu in state.smoothings)
        return replace(state, smoothings=smoothings)

    def steps(self, state: LBFGSBState) -> dict[str, float]:
        """mu of each composed functional."""
        return {f"smoothing_{i}": mu for i, mu in enumerate(state.smoothings)}

    def notes(self, split: Split, state: LBFGSBState) -> tuple[str, ...]:
        """Which terms were smoothed, and how strongly."""
        return tuple(
            f"{self.name}: the term '{term.name}' was replaced by its Moreau envelope with mu = {mu:.3g}; "
            "objective and optimality are those of the exact problem"
            for term, mu in zip(split.coupling.terms, state.smoothings, strict=True)
        )


def smoothed(split: Split, x: Array, smoothings: tuple[float, ...]) -> tuple[float, Array]:
    """Value (float64) and gradient at ``x`` of the smooth terms and the Moreau envelopes."""
    coupling = split.coupling
    images = coupling.apply(x)
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
    images = coupling.apply(x)
    return tuple(
        (image - coupling.prox(index, image, mu)) / image.dtype.type(mu)
        for index, (image, mu) in enumerate(zip(images, smoothings, strict=True))
    )
