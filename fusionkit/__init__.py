"""Fused multi-modal electron microscopy: composable objective terms, interchangeable proximal solvers, one YAML file.

The names below are imported when they are first used, so that ``import fusionkit`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusionkit.compose_problem import compose, make_solver
    from fusionkit.config import load_config
    from fusionkit.data.dataset import Dataset
    from fusionkit.errors import FusionkitWarning, RefusalError, UserError
    from fusionkit.loop import solve
    from fusionkit.notebook.fuse import Fused, fuse
    from fusionkit.operators.check_term import check_term
    from fusionkit.problem import Problem
    from fusionkit.reconstruct import Job, prepare, starting_point
    from fusionkit.result import Result, Status
    from fusionkit.results.result_file import read_result
    from fusionkit.weights.in_python import choose_weights

# fmt: off
__all__ = [
    "Dataset", "Fused", "FusionkitWarning", "Job", "Problem", "RefusalError", "Result", "Status", "UserError",
    "check_term", "choose_weights", "compose", "fuse", "load_config", "make_solver", "prepare", "read_result",
    "solve", "starting_point",
]
# fmt: on

_HOMES = {
    "Dataset": "data.dataset",
    "Fused": "notebook.fuse",
    "FusionkitWarning": "errors",
    "Job": "reconstruct",
    "Problem": "problem",
    "RefusalError": "errors",
    "Result": "result",
    "Status": "result",
    "UserError": "errors",
    "check_term": "operators.check_term",
    "choose_weights": "weights.in_python",
    "compose": "compose_problem",
    "fuse": "notebook.fuse",
    "load_config": "config",
    "make_solver": "compose_problem",
    "prepare": "reconstruct",
    "read_result": "results.result_file",
    "solve": "loop",
    "starting_point": "reconstruct",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("fusionkit-em")
        except PackageNotFoundError:  # a bare checkout
            return "(not installed)"
    if name not in _HOMES:
        raise AttributeError(f"module 'fusionkit' has no attribute '{name}'")
    return getattr(import_module(f"fusionkit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
