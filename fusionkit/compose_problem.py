"""Problems and solvers from the names of their parts: for scripts, notebooks and configs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionkit.arrays import is_authors
from fusionkit.build import Context
from fusionkit.data.dataset import Dataset, Precision, dtype_of
from fusionkit.data.missing import known
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

    `UserError` for an unknown name or option, data that a term cannot take, an engine that is not installed, or a
    mistake in a term of an author (`fusionkit.check_term`).

    Parameters
    ----------
    dataset : the data; the unknown has the shape of its ``maps``, (n, ny, nx), unless ``labels`` are given.
    terms : `Term` objects, or names and options as in a config: ``{"type": "tv", "weight": 0.1}``.
    labels : names of the coefficients of a problem without maps, which fix its shape (len(labels),).
    precision : ``single`` (float32) or ``double`` (float64) iterates.
    engine : ``numpy``, ``numba``, ``cupy`` or ``auto``; see `fusionkit.problem.Problem`.
    """
    return check_authors(_composed(dataset, terms, labels, precision, engine), dataset)


def _composed(
    dataset: Dataset,
    terms: Sequence[Term | Spec | Mapping[str, Any] | str],
    labels: Sequence[str] | None,
    precision: Precision,
    engine: Engine,
) -> Problem:
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


def check_authors(problem: Problem, dataset: Dataset | None = None) -> Problem:
    """The problem; `fusionkit.check_term` has tested each term with an author's code, at maps about the data."""
    foreign = [term for term in problem.terms if any(map(is_authors, _parts(term)))]
    if foreign:
        from fusionkit.operators.check_term import check_term, typical_point

        maps = None if dataset is None else dataset.arrays.get("maps")
        x = typical_point(problem.shape, problem.dtype, 1.0 if maps is None else float(np.mean(np.abs(known(maps)))))
        for term in foreign:
            check_term(term, x)
    return problem


@contextmanager
def blamed_on_authors(problem: Problem) -> Iterator[None]:
    """Where a solve fails, test the terms of authors again: one that has gone wrong since is named by a `UserError`."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, UserError | MemoryError):
            check_authors(problem)
        raise


def _parts(term: Term) -> Iterator[object]:
    """The term and the objects that it is made of."""
    yield term
    for name in ("functional", "operator", "auxiliary", "loss", "forward"):
        part = getattr(term, name, None)
        yield part
        for inner in ("operator", "linear_map", "function", "inner", "scalars", "term"):
            deeper = getattr(part, inner, None)
            yield None if callable(deeper) else deeper


def _term(context: Context, term: Term | Spec | Mapping[str, Any] | str, key: str) -> Term:
    if isinstance(term, Term):
        return term
    if isinstance(term, str):
        term = Spec(type=term)
    if not isinstance(term, Spec | Mapping):
        raise UserError(key, f"is a {type(term).__name__}", "give a Term, or a name with options")
    spec = term if isinstance(term, Spec) else parse(Spec, term, key)
    return context.build("terms", spec, key)


@dataclass(frozen=True)
class Objective:
    """The specs of a problem and its solver in a configuration."""

    terms: Sequence[Spec]  # of the objective
    solver: Spec
    # labels, precision, engine: see `compose`
    labels: Sequence[str] | None = None
    precision: Precision = "single"
    engine: Engine = "auto"

    def build(self, dataset: Dataset, terms: Sequence[Spec] | None = None) -> Problem:
        """The problem for this dataset, with ``terms`` in place of its own if they are given."""
        return _composed(dataset, self.terms if terms is None else terms, self.labels, self.precision, self.engine)


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
