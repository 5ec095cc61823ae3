"""Small problems for the tests of every solver, and known properties of the solvers.

A new problem is a row of PROBLEMS, a new solver at most a row of SOLVERS: the tests run through both tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.loop import solve
from fusionkit.problem import Engine, Problem
from fusionkit.result import Result
from fusionkit.terms import Array, Composed, Smooth

SHAPE = (3, 12, 10)
LABELS = ("Sc", "Dy", "O")
Z = np.array([21.0, 66.0, 8.0]) / np.mean([21.0, 66.0, 8.0])
OTHER_Z = {"Sc": 1.5, "Dy": 0.4, "O": 1.1}
MU = {"Sc": 0.8, "Dy": 1.7, "O": 0.3}
SECOND = {"type": "pylops", "operator": "SecondDerivative", "arguments": {"axis": 2}}


@cache
def arrays() -> Mapping[str, Array]:
    """Data of the small problems: piecewise constant maps, their counts (mean 20, then scaled) and images."""
    random = np.random.default_rng(7)
    truth = np.zeros(SHAPE)
    truth[0, 2:8, 1:6], truth[1, 5:11, 4:9], truth[2] = 1.0, 0.6, 0.3
    maps = random.poisson(20 * truth + 1) / 20
    return {
        "maps": maps,
        "counts": maps.sum(0),
        "haadf": (Z[:, None, None] * truth).sum(0) + 0.05 * random.standard_normal(SHAPE[1:]),
        "haadf_1.6": ((Z[:, None, None] * truth) ** 1.6).sum(0) + 0.05 * random.standard_normal(SHAPE[1:]),
        "second": np.einsum("i,iyx->yx", list(OTHER_Z.values()), truth) + 0.05 * random.standard_normal(SHAPE[1:]),
        "blurred": gaussian_filter(truth, (0, 1.0, 1.0)) + 0.02 * random.standard_normal(SHAPE),
        "X": random.standard_normal((40, 2)),
        "y": random.standard_normal(40) + 2.0,
        "bright": 2.0 * np.exp(-np.einsum("i,iyx->yx", list(MU.values()), truth))
        + 0.02 * random.standard_normal(SHAPE[1:]),
    }


POISSON = {"type": "poisson", "weight": 0.24}
MAPS = {"type": "least_squares", "data": "maps"}
TV = {"type": "tv", "weight": 0.1}
NONNEGATIVE = {"type": "nonnegative"}


@dataclass(frozen=True)
class Case:
    """A problem as in a config.

    Parameters
    ----------
    terms : as in a YAML file.
    needs : abilities that some solvers lack (`Known.lacks`); those must refuse the problem.
    labels : of an unknown that is not a stack of maps.
    engine : ``numpy`` where a kernel would take many seconds to compile that other tests compare with NumPy.
    """

    terms: tuple[Mapping[str, Any], ...]
    needs: frozenset[str] = frozenset()
    labels: tuple[str, ...] | None = None
    engine: Engine = "auto"


def case(*terms: Mapping[str, Any], needs: tuple[str, ...] = (), **more: Any) -> Case:
    return Case(terms, needs=frozenset(needs), **more)


PROBLEMS: dict[str, Case] = {
    "fused_linear": case({"type": "haadf", "gamma": 1.0}, POISSON, TV, NONNEGATIVE),
    "fused": case({"type": "haadf", "gamma": 1.6, "data": "haadf_1.6"}, POISSON, TV, NONNEGATIVE),
    "tv_denoising": case(MAPS, TV),
    "l1_of_operator": case(MAPS, {"type": "l1", "weight": 0.1, "operator": SECOND}, needs=("any operator",)),
    "blur": case(
        {"type": "least_squares", "data": "blurred", "forward": {"type": "blur", "sigma": 1.0}},
        {"type": "tv", "weight": 0.02},
        NONNEGATIVE,
        needs=("any operator",),
    ),
    "poisson_without_background": case(POISSON | {"epsilon": 0.0}, TV, NONNEGATIVE, needs=("unbounded gradient",)),
    "anisotropic_tv": case(MAPS, {"type": "anisotropic_tv", "weight": 0.1}),
    "huber_tv": case(MAPS, {"type": "huber_tv", "weight": 0.1, "smoothing": 0.05}),
    "tgv": case(MAPS, {"type": "tgv", "weight": 0.1}, needs=("auxiliary",)),
    "joint_tgv": case(MAPS, {"type": "tgv", "weight": 0.1, "coupling": "joint"}, needs=("auxiliary",)),
    "vectorial_tv": case(MAPS, {"type": "vectorial_tv", "weight": 0.1}, NONNEGATIVE),
    "nuclear_tv": case(MAPS, {"type": "vectorial_tv", "weight": 0.1, "coupling": "nuclear"}),
    "directional_tv": case(MAPS, {"type": "directional_tv", "weight": 0.1}, NONNEGATIVE, needs=("any operator",)),
    "structure_tensor_tv": case(
        {"type": "haadf", "gamma": 1.0},
        POISSON,
        {"type": "structure_tensor_tv", "weight": 0.1, "coupling": "none"},
        NONNEGATIVE,
        needs=("any operator",),
    ),
    "box": case(MAPS, TV, {"type": "box", "lower": 0.1, "upper": 0.5}),
    "sparse": case(MAPS, {"type": "l1", "weight": 0.2}),
    "absorption": case(
        {
            "type": "least_squares",
            "data": "bright",
            "forward": {"type": "absorption", "mu": MU, "incident": 2.0},
        },
        POISSON,
        TV,
        NONNEGATIVE,
        engine="numpy",
    ),
    "length_bounded": case(
        POISSON,
        {"type": "penalty", "name": "length", "functional": "euclidean", "weight": 1.0},
        {"type": "box", "lower": 0.1, "upper": 0.5},
    ),
    "sparse_bounded": case({"type": "haadf", "gamma": 1.0}, MAPS, {"type": "l1", "weight": 0.2}, NONNEGATIVE),
    "regression": case(
        {"type": "least_squares", "data": "y", "forward": {"type": "affine", "matrix": "X"}},
        needs=("any operator",),
        labels=("first", "second", "offset"),
    ),
    "two_images": case(
        {"type": "haadf", "gamma": 1.0},
        {
            "type": "least_squares",
            "data": "second",
            "forward": {"type": "power_sum", "gamma": 1.0, "z": OTHER_Z},
        },
        POISSON,
        NONNEGATIVE,
    ),
    "pyproximal_by_name": case(
        MAPS, {"type": "pyproximal", "operator": "Euclidean", "on": "gradient", "weight": 0.5}, NONNEGATIVE
    ),
}


@dataclass(frozen=True)
class Known:
    """Known properties of a solver; by default it takes everything and minimises the stated objective.

    Parameters
    ----------
    lacks : what it cannot do (`Case.needs`).
    only : the problems that it takes, if they are few; None for all whose needs it meets.
    convergent : whether it minimises the stated objective; else only its sanity is tested.
    """

    lacks: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    convergent: bool = True


SOLVERS: dict[str, Known] = {
    "admm": Known(frozenset({"auxiliary", "any operator"})),
    "davis_yin": Known(frozenset({"linear map", "unbounded gradient"})),
    "proximal_gradient": Known(frozenset({"auxiliary"})),
    "lbfgsb": Known(frozenset({"auxiliary"})),
    "schwartz2022": Known(only=frozenset({"fused", "fused_linear"}), convergent=False),
    "pyproximal_primal_dual": Known(frozenset({"auxiliary"})),
    "pyproximal_admm": Known(frozenset({"auxiliary", "any operator"})),
}


def known(solver: str) -> Known:
    return SOLVERS.get(solver, Known())


def refuses(solver: str, problem: str) -> bool:
    """Whether the solver cannot take the problem according to the tables."""
    row = known(solver)
    return bool(row.lacks & needs(problem)) or (row.only is not None and problem not in row.only)


def taken(solver: str, problem: str) -> str:
    """The problem, or one without a linear map if the solver refuses that."""
    return "length_bounded" if refuses(solver, problem) else problem


@cache
def needs(problem: str) -> frozenset[str]:
    """The needs of the problem: those of the table, and ``linear map`` for a penalty of one."""
    terms = build(problem)[0].terms
    composed = any(isinstance(term, Composed) and not isinstance(term, Smooth) for term in terms)
    return PROBLEMS[problem].needs | ({"linear map"} if composed else frozenset())


def problem_of(
    terms: Sequence[Mapping[str, Any]],
    dtype: Any = np.float64,
    labels: tuple[str, ...] | None = None,
    engine: Engine = "auto",
) -> Problem:
    """A problem on `arrays` from terms as in a config; ``labels`` for an unknown that is not a stack of maps."""
    data = Dataset({name: array.copy() for name, array in arrays().items()}, LABELS)
    return compose(data, terms, labels, "single" if np.dtype(dtype) == np.float32 else "double", engine)


def build(name: str, dtype: Any = np.float64) -> tuple[Problem, Array]:
    """A problem of the table and a starting point, positive everywhere for maps."""
    chosen = PROBLEMS[name]
    problem = problem_of(chosen.terms, dtype, chosen.labels, chosen.engine)
    start = arrays()["maps"] + 0.1 if chosen.labels is None else np.zeros(len(chosen.labels))
    return problem, start.astype(dtype)


@cache
def solved(solver: str, problem: str, dtype: str, tolerance: float) -> Result:
    """The result of a solver on a problem, solved once for all tests."""
    built, start = build(problem, dtype)
    return solve(built, make_solver(solver, tolerance=tolerance, max_iterations=20000), start)
