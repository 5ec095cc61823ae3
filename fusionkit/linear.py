"""Linear maps between shaped arrays: adapters from and to ``pylops.LinearOperator``, and the identity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from fusionkit.arrays import call_checked, is_authors
from fusionkit.errors import UserError, author_errors
from fusionkit.terms import Array, LinearMap

if TYPE_CHECKING:
    import pylops

_ADJOINT_TOLERANCE = 1e-3  # relative: an operator may compute in float32
_NORM_TOLERANCE = 0.01  # relative: power iterations approach the norm from below


def _into(result: npt.NDArray[Any], source: Array, out: Array | None) -> Array:
    """The result in ``out`` or in fresh memory, since a pylops operator that works in place returns its input."""
    if out is None:
        return result.copy() if np.may_share_memory(result, source) else result
    np.copyto(out, result)
    return out


@dataclass(frozen=True, eq=False)
class PylopsMap:
    """A ``pylops.LinearOperator`` (flat vectors) as a map between shaped arrays.

    Parameters
    ----------
    operator : the pylops operator, of shape (prod(range), prod(domain)).
    domain, range : shapes of input and output.
    known_norm : upper bound of the operator norm; None estimates it by power iterations.
    """

    operator: pylops.LinearOperator
    domain: tuple[int, ...]
    range: tuple[int, ...]
    known_norm: float | None = None

    @property
    def norm(self) -> float:
        """An upper bound of the operator norm."""
        return self.known_norm if self.known_norm is not None else self._estimated_norm

    @cached_property
    def _estimated_norm(self) -> float:
        return estimate_norm(self)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """K x."""
        return _into(self.operator.matvec(x.ravel()).reshape(self.range), x, out)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """K' y."""
        return _into(self.operator.rmatvec(y.ravel()).reshape(self.domain), y, out)


@dataclass(frozen=True)
class IdentityMap:
    """The identity, operator of a proximable term with a dual variable."""

    any_array: ClassVar[bool] = True
    domain: tuple[int, ...]
    norm: float = 1.0

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output: that of its input."""
        return self.domain

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """x, unchanged."""
        return _into(x, x, out)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """y, unchanged."""
        return self.apply(y, out)

    def normal_eigenvalues(self) -> Array:
        """1, in every basis."""
        return np.ones((1,) * len(self.domain))

    def cosine_axes(self) -> tuple[int, ...]:
        """None: it is diagonal in every basis."""
        return ()


def estimate_norm(linear_map: LinearMap, iterations: int = 60, seed: int = 0) -> float:
    """Operator norm of K by power iterations on K'K in float64, plus 2 %, since they approach it from below."""
    x = np.random.default_rng(seed).standard_normal(linear_map.domain)
    largest = 0.0
    for _ in range(iterations):
        length = float(np.linalg.norm(x))
        if length == 0.0:
            return 0.0
        x = linear_map.adjoint(linear_map.apply(x / length)).astype(np.float64)
        largest = float(np.linalg.norm(x))
    return 1.02 * largest**0.5


def require_adjoint(linear_map: LinearMap, where: str) -> None:
    """Refuse a user's map with a wrong adjoint; with it solvers would converge to a wrong solution.

    `UserError` if <K x, y> and <x, K'y> differ for random x and y or for y = K x, the norm is below ||K x|| / ||x|| for
    such vectors, or a result has the wrong shape.
    """
    inner = linear_map.operator if isinstance(linear_map, PylopsMap) else linear_map
    if not is_authors(inner):
        return
    with author_errors(where, "its operator"):
        domain, span, norm = linear_map.domain, linear_map.range, linear_map.norm
    for name, shape in (("domain", domain), ("range", span)):
        if not (isinstance(shape, tuple) and all(isinstance(n, int | np.integer) and n > 0 for n in shape)):
            raise UserError(where, f"{name} of its operator is {shape!r}", "give the shape, a tuple of whole numbers")
    if isinstance(norm, bool) or not isinstance(norm, float | int | np.floating | np.integer):
        raise UserError(where, f"the norm of its operator is {norm!r}", "give a number")
    random = np.random.default_rng(0)
    x, y = random.standard_normal(domain), random.standard_normal(span)
    image = call_checked(where, "apply of its operator", linear_map.apply, (x,), span)
    back = call_checked(where, "adjoint of its operator", linear_map.adjoint, (y,), domain)
    again, lengths = linear_map.adjoint(image.copy()), [float(np.linalg.norm(one)) for one in (x, image, y)]
    # random vectors of N values are nearly orthogonal: <K x, y> is about ||K x|| ||y|| / sqrt(N)
    for other, pulled, scale in ((y, back, lengths[2] / y.size**0.5), (image, again, lengths[1])):
        left, right = float(np.vdot(image, other)), float(np.vdot(x, pulled))
        if not abs(left - right) <= _ADJOINT_TOLERANCE * lengths[1] * scale:
            problem = f"the adjoint of its operator is wrong: <K x, y> is {left:.6g} and <x, K'y> is {right:.6g}"
            raise UserError(where, problem, "correct it until both agree for random x and y")
    stretch = max(lengths[1] / lengths[0], float(np.linalg.norm(again)) / lengths[1] if lengths[1] else 0.0)
    if not norm >= (1.0 - _NORM_TOLERANCE) * stretch:
        problem = f"the norm of its operator is {norm:.6g}, but it stretches a vector {stretch:.6g} times"
        raise UserError(where, problem, "give an upper bound of the norm; fusionkit.linear.estimate_norm estimates it")


def to_pylops(linear_map: LinearMap, dtype: np.dtype[Any]) -> pylops.LinearOperator:
    """The map as a ``pylops.LinearOperator`` on flat vectors."""
    import pylops

    return pylops.FunctionOperator(
        lambda x: linear_map.apply(x.reshape(linear_map.domain)).ravel(),
        lambda y: linear_map.adjoint(y.reshape(linear_map.range)).ravel(),
        int(np.prod(linear_map.range)),
        int(np.prod(linear_map.domain)),
        dtype=dtype,
    )
