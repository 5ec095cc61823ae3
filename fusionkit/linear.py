"""Linear maps between arrays of fixed shapes: an adapter for any ``pylops.LinearOperator``, the identity, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from fusionkit.errors import UserError
from fusionkit.terms import Array, LinearMap

if TYPE_CHECKING:
    import pylops

_ALIKE = 1e-3  # of the lengths: an operator may compute in float32


def _into(result: npt.NDArray[Any], given: Array, out: Array | None) -> Array:
    """The result in ``out``, or in memory of its own: a pylops operator that works in place returns what it got."""
    if out is None:
        return result.copy() if np.may_share_memory(result, given) else result
    np.copyto(out, result)
    return out


@dataclass(frozen=True, eq=False)
class PylopsMap:
    """A ``pylops.LinearOperator`` (flat vectors) as a map between shaped arrays.

    Parameters
    ----------
    operator : the pylops operator, of shape (prod(range), prod(domain)).
    domain, range : shapes of what it takes and gives.
    known_norm : an upper bound of the operator norm where one is known; else it is estimated by power iterations.
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
    """x itself; the operator of a proximable term that a solver takes as composed."""

    any_array: ClassVar[bool] = True
    domain: tuple[int, ...]
    norm: float = 1.0

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of what it gives: that of what it takes."""
        return self.domain

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """x."""
        return _into(x, x, out)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """y."""
        return self.apply(y, out)

    def normal_eigenvalues(self) -> Array:
        """1, in every basis."""
        return np.ones((1,) * len(self.domain))

    def cosine_axes(self) -> tuple[int, ...]:
        """None is needed."""
        return ()


def estimate_norm(linear_map: LinearMap, iterations: int = 60, seed: int = 0) -> float:
    """Operator norm by power iterations on K'K in float64, raised by 2 % since they approach it from below.

    Parameters
    ----------
    linear_map : K.
    iterations : power iterations.
    seed : of the random start, so that two runs derive the same steps.
    """
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
    """Refuse a map of somebody's own whose adjoint is another map's: solvers would converge to something else.

    Parameters
    ----------
    linear_map : K; fusionkit's own and pylops' are not looked at.
    where : the term, for the message.

    Raises
    ------
    UserError : <K x, y> and <x, K'y> differ for random x and y.
    """
    made_by = linear_map.operator if isinstance(linear_map, PylopsMap) else linear_map
    if type(made_by).__module__.partition(".")[0] in ("fusionkit", "pylops"):
        return
    random = np.random.default_rng(0)
    x, y = random.standard_normal(linear_map.domain), random.standard_normal(linear_map.range)
    image, back = linear_map.apply(x.copy()), linear_map.adjoint(y.copy())
    for given, name, shape in ((image, "apply", linear_map.range), (back, "adjoint", linear_map.domain)):
        if np.shape(given) != tuple(shape):
            said = f"{name} of its operator gives the shape {np.shape(given)} instead of {tuple(shape)}"
            raise UserError(where, said, "mend it")
    forth, back_again = float(np.vdot(image, y)), float(np.vdot(x, back))
    if not abs(forth - back_again) <= _ALIKE * float(np.linalg.norm(image) * np.linalg.norm(y)):
        said = f"its operator's adjoint is wrong: <K x, y> is {forth:.6g} and <x, K'y> is {back_again:.6g}"
        raise UserError(where, said, "mend adjoint until they agree for random x and y")


def to_pylops(linear_map: LinearMap, dtype: np.dtype[Any]) -> pylops.LinearOperator:
    """The map as a ``pylops.LinearOperator`` on flat vectors, for pylops' and pyproximal's own code."""
    import pylops

    return pylops.FunctionOperator(
        lambda x: linear_map.apply(x.reshape(linear_map.domain)).ravel(),
        lambda y: linear_map.adjoint(y.reshape(linear_map.range)).ravel(),
        int(np.prod(linear_map.range)),
        int(np.prod(linear_map.domain)),
        dtype=dtype,
    )
