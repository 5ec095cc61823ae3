"""Fused multi-modal electron microscopy: composable objective terms, interchangeable proximal solvers, one YAML file.

The names below are imported when they are first used, so that ``import fusionkit`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusionkit.composition import compose, make_solver
    from fusionkit.config import load_config
    from fusionkit.data import Dataset
    from fusionkit.errors import FusionkitWarning, RefusalError, UserError
    from fusionkit.interactive.fusing import Fused, fuse
    from fusionkit.loop import solve
    from fusionkit.problem import Problem
    from fusionkit.reconstruct import Job, prepare
    from fusionkit.result import Result, Status
    from fusionkit.result_file import read_result
    from fusionkit.start import starting_point
    from fusionkit.weights.python import choose_weights

__all__ = [
    "Dataset",
    "Fused",
    "FusionkitWarning",
    "Job",
    "Problem",
    "RefusalError",
    "Result",
    "Status",
    "UserError",
    "choose_weights",
    "compose",
    "fuse",
    "load_config",
    "make_solver",
    "prepare",
    "read_result",
    "solve",
    "starting_point",
]

_HOMES = {
    "Dataset": "data",
    "Fused": "interactive.fusing",
    "FusionkitWarning": "errors",
    "Job": "reconstruct",
    "Problem": "problem",
    "RefusalError": "errors",
    "Result": "result",
    "Status": "result",
    "UserError": "errors",
    "choose_weights": "weights.python",
    "compose": "composition",
    "fuse": "interactive.fusing",
    "load_config": "config",
    "make_solver": "composition",
    "prepare": "reconstruct",
    "read_result": "result_file",
    "solve": "loop",
    "starting_point": "start",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fusionkit' has no attribute '{name}'")
    return getattr(import_module(f"fusionkit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
