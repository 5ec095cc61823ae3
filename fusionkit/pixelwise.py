r"""The joint prox of all pixelwise terms and the bounds: one small Newton problem at each pixel.

At a pixel the unknown is a vector of n values and the problem is

.. math:: \min_{l \le u \le h} \sum_j T_j(u) + \frac{1}{2t} \|u - v\|^2 .

Its model Hessian is diagonal plus rank one (`fusionkit.terms.Expansion`), so that a projected Newton step costs O(n)
by the Sherman-Morrison formula. A step that does not decrease the objective of a pixel is quartered at that pixel.
Newton's method starts at the solver's current iterate, so a few steps suffice. The model is that of Schwartz et al.
(2022); the joint prox is new here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusionkit.terms import Array, Bounds, Expansion, Pixelwise

_BLOCK_BYTES = 1 << 18  # a block and its temporaries stay in the second-level cache
_ATTEMPTS = 8  # step lengths to try before a pixel keeps its value


@dataclass(frozen=True)
class PixelwiseProx:
    """The joint prox of pixelwise terms within bounds.

    Parameters
    ----------
    terms : the pixelwise terms; without any, the prox is the projection onto the bounds.
    bounds : the box.
    """

    terms: tuple[Pixelwise, ...]
    bounds: Bounds

    def __call__(
        self, v: Array, step: float | Array, start: Array, newton_steps: int = 1, out: Array | None = None
    ) -> Array:
        """The prox at ``v``, by ``newton_steps`` damped Newton steps from ``start``.

        Parameters
        ----------
        v : point, shape (n, ny, nx).
        step : t > 0, one number or one for each value.
        start : start of Newton's method, within the bounds.
        newton_steps : number of steps; 30 are exact to rounding on every problem of the tests.
        out : receives the result; may be ``start`` but not ``v``.
        """
        if not self.terms:
            return self.bounds.prox(v, 1.0, out)
        inverse = 1.0 / np.asarray(step, v.dtype)
        out = np.empty_like(v) if out is None else out
        for rows in blocks(v.shape, v.itemsize):
            lower, upper = _block(self.bounds.lower, rows), _block(self.bounds.upper, rows)
            x = start[:, rows]
            for _ in range(newton_steps):
                weight = inverse[:, rows] if inverse.ndim else inverse
                x = self._newton(x, v[:, rows], weight, rows, lower, upper)
            out[:, rows] = x
        return out

    def _newton(
        self, x: Array, v: Array, inverse: Array, rows: slice, lower: float | Array, upper: float | Array
    ) -> Array:
        expansions = [term.expand(x, rows) for term in self.terms]
        move = _direction(expansions, x, (x - v) * inverse, inverse, lower, upper)
        before = self._values(x, v, inverse, rows)
        rounding = 8 * float(np.finfo(x.dtype).eps)
        new = np.clip(x - move, lower, upper)
        for attempt in range(_ATTEMPTS):
            after = self._values(new, v, inverse, rows)
            # rounding must not shorten the step of a converged pixel; NaN counts as no decrease
            worse = ~(after <= before + rounding * np.abs(before))
            if not worse.any():
                break
            shorter = 0.25 if attempt < _ATTEMPTS - 1 else 0.0
            move = np.where(worse, move * x.dtype.type(shorter), move)
            new = np.clip(x - move, lower, upper)
        return new

    def _values(self, x: Array, v: Array, inverse: Array, rows: slice) -> Array:
        distance = x - v
        total = np.einsum("i...,i...->...", distance, distance * (inverse * inverse.dtype.type(0.5)))
        for term in self.terms:
            total += term.pixel_values(x, rows)
        return total


def blocks(shape: tuple[int, ...], itemsize: int) -> list[slice]:
    """Slices of rows (axis 1) whose blocks fit into the cache."""
    row_bytes = int(np.prod((shape[0], *shape[2:]))) * itemsize
    height = max(1, _BLOCK_BYTES // row_bytes)
    return [slice(first, min(first + height, shape[1])) for first in range(0, shape[1], height)]


def _block(bound: float | Array, rows: slice) -> float | Array:
    if np.ndim(bound) < 2:
        return bound
    array = np.asarray(bound)
    return array[..., rows, :] if array.shape[-2] > 1 else array


def _direction(
    expansions: Sequence[Expansion],
    x: Array,
    gradient: Array,
    inverse: Array,
    lower: float | Array,
    upper: float | Array,
) -> Array:
    """The projected Newton direction; ``gradient`` is that of the quadratic and is overwritten."""
    curvature = np.full_like(x, inverse)
    couplings = []
    for expansion in expansions:
        gradient += expansion.gradient
        curvature += expansion.curvature
        if expansion.coupling is not None:
            couplings.append(expansion.coupling)
    # an element that the diagonal majorant moves to a bound stays there: clipping it later would mislead the others
    majorant = curvature + sum((np.abs(u) * np.abs(u).sum(axis=0) for u in couplings), np.zeros_like(x))
    with np.errstate(invalid="ignore"):  # no bound: infinity
        to_lower = (gradient > 0) & (gradient >= (x - lower) * majorant)
        to_upper = (gradient < 0) & (gradient <= (x - upper) * majorant)
        direction = np.where(to_lower, x - lower, np.where(to_upper, x - upper, gradient / curvature))
    if not couplings:
        return direction
    fixed = to_lower | to_upper
    scaled = [np.where(fixed, 0, u) / curvature for u in couplings]
    if len(couplings) == 1:
        u, s = couplings[0], scaled[0]
        share = np.einsum("i...,i...->...", u, direction) / (1 + np.einsum("i...,i...->...", u, s))
        direction -= s * share
        return direction
    return direction - _woodbury(couplings, scaled, direction)


def _woodbury(couplings: Sequence[Array], scaled: Sequence[Array], direction: Array) -> Array:
    """The correction of several rank-one parts: S (1 + U'S)^{-1} U' d at each pixel."""
    u, s = np.stack(couplings), np.stack(scaled)
    small = np.einsum("ai...,bi...->...ab", u, s) + np.eye(len(u), dtype=u.dtype)
    share = np.linalg.solve(small, np.einsum("ai...,i...->...a", u, direction)[..., None])[..., 0]
    return np.einsum("bi...,...b->i...", s, share)
