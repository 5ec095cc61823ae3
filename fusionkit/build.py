"""From a named spec to an object: how terms, forward models, functionals and operators are built.

A factory is a function or class whose first parameter is annotated with its options model; the second one is a
`Context`::

    def tv(options: TVOptions, context: Context) -> Composed: ...
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError, author_errors
from fusionkit.options import Existing, Spec, options_of
from fusionkit.registry import lookup, suggestion
from fusionkit.terms import Array

# attributes that identify each kind, so that a plug-in's wrong object is refused before the first iteration
_NEEDED = {
    "terms": ("name", "value"),
    "forwards": ("apply", "adjoint", "range"),
    "functionals": ("prox", "proxdual"),
    "operators": ("apply", "adjoint", "domain", "range", "norm"),
}


@dataclass(frozen=True)
class Context:
    """The problem that a factory builds for.

    Parameters
    ----------
    dataset : the data, checked and normalised.
    shape : shape of the unknown, (n, ny, nx) for maps.
    labels : of the first axis of the unknown: the elements, or the names of coefficients.
    dtype : float32 or float64, of the unknown and of every array that a term keeps.
    where : config key of the object, for error messages.
    """

    dataset: Dataset
    shape: tuple[int, ...]
    labels: tuple[str, ...]
    dtype: np.dtype[np.floating[Any]]
    where: str = ""

    def at(self, key: str) -> Context:
        """The same context for the config key ``key`` below this one."""
        return replace(self, where=f"{self.where}.{key}" if self.where else key)

    def array(self, name: str, key: str = "data") -> Array:
        """The dataset's array ``name`` in the problem's dtype; `UserError` at ``key`` if there is none."""
        if name not in self.dataset.arrays:
            raise UserError(
                self.at(key).where, f"there is no data called '{name}'", suggestion(name, self.dataset.arrays)
            )
        return np.ascontiguousarray(self.dataset.arrays[name], dtype=self.dtype)

    def masked(self, name: str) -> bool:
        """Whether NaN in the dataset's array ``name`` marks what was not measured."""
        return name in self.dataset.masked

    def build(self, kind: str, spec: Spec, key: str) -> Any:
        """Build the object that ``spec`` names; its options are at the config key ``key`` below this one."""
        if isinstance(spec, Existing):
            return spec.made
        inner = self.at(key)
        factory = lookup(kind, spec.type, f"{inner.where}.type")
        options = options_of(factory, spec.options, inner.where)
        if factory.__module__.partition(".")[0] == "fusionkit":
            made = factory(options, inner)
        else:
            with author_errors(inner.where, f"{spec.type} ({factory.__module__}.{factory.__qualname__})"):
                made = factory(options, inner)
        missing = [name for name in _NEEDED.get(kind, ()) if not hasattr(made, name)]
        if missing:
            problem = f"'{spec.type}' makes a {type(made).__name__}, which has no {' and no '.join(missing)}"
            remedy = f"let {factory.__module__}.{factory.__name__} return an object for the kind {kind}"
            raise UserError(inner.where, problem, remedy)
        return made
