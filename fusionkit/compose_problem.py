"""Problems and solvers from the names of their parts: for scripts, notebooks and configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fusionkit.build import Context
from fusionkit.data.dataset import Dataset, Precision, dtype_of
from fusionkit.engines.choose import require_engine
from fusionkit.errors import UserError
from fusionkit.options import Spec, options_of, parse
from fusionkit.problem import Engine, Problem
from fusionkit.registry import lookup
from fusionkit.solver import Solver
from fusionkit.terms import InCounts, Term


def compose(
    dataset: Dataset,
    terms: Sequence[Term | Spec | Mapping[str, Any] | str],
    labels: Sequence[str] | None = None,
    precision: Precision = "single",
    engine: Engine = "auto",
) -> Problem:
    """The problem with these terms.

    Parameters
    ----------
    dataset : the data; the unknown has the shape of its ``maps``, (n, ny, nx), unless ``labels`` are given.
    terms : `Term` objects, or names and options as in a config: ``{"type": "tv", "weight": 0.1}``.
    labels : names of the coefficients of a problem without maps, which fix its shape (len(labels),).
    precision : ``single`` (float32) or ``double`` (float64) iterates.
    engine : ``numpy``, ``numba``, ``cupy`` or ``auto``; see `fusionkit.problem.Problem`.

    Raises
    ------
    UserError : unknown name or option, data that a term cannot take, or an engine that is not installed.
    """
    if labels is not None:
        shape, names = (len(labels),), tuple(labels)
    elif dataset.shape is not None:
        shape, names = dataset.shape, dataset.elements
    else:
        raise UserError(
            "unknown", "is missing: the data hold no maps", "name the coefficients: unknown: {labels: [a, b]}"
        )
    context = Context(dataset, shape, names, dtype_of(precision))
    built = [_term(context, term, f"terms[{index}]") for index, term in enumerate(terms)]
    if dataset.counting is not None and dataset.counting.units:
        units = dataset.counting.units
        built = [term.in_counts(units, names) if isinstance(term, InCounts) else term for term in built]
    require_engine(engine)
    return Problem(tuple(built), shape, names, context.dtype, engine)


def _term(context: Context, term: Term | Spec | Mapping[str, Any] | str, key: str) -> Term:
    if isinstance(term, Term):
        return term
    if isinstance(term, str):
        term = Spec(type=term)
    spec = term if isinstance(term, Spec) else parse(Spec, term, key)
    return context.build("terms", spec, key)


@dataclass(frozen=True)
class Objective:
    """The specs of a problem and its solver in a configuration.

    Parameters
    ----------
    terms : of the objective.
    solver : the algorithm.
    labels, precision, engine : see `compose`.
    """

    terms: Sequence[Spec]
    solver: Spec
    labels: Sequence[str] | None = None
    precision: Precision = "single"
    engine: Engine = "auto"

    def build(self, dataset: Dataset, terms: Sequence[Spec] | None = None) -> Problem:
        """The problem for this dataset, with ``terms`` in place of its own if they are given."""
        return compose(dataset, self.terms if terms is None else terms, self.labels, self.precision, self.engine)


def make_solver(name: str, where: str = "solver", **options: Any) -> Solver:
    """The registered solver ``name`` with these options.

    Parameters
    ----------
    name : as in a config: ``chambolle_pock``, ``admm``, ...
    where : config key, for error messages.
    **options : as in a config: ``tolerance=1e-4``.
    """
    factory = lookup("solvers", name, f"{where}.type")
    return factory(options_of(factory, options, where))
