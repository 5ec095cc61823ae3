"""Common parts of the benchmarks: the type of the timer, and problems with an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import pytest

from fusionkit.compose_problem import compose
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.problem import Problem

BYTES_PER_VOXEL = 37  # moved by an iteration of chambolle_pock at least: x, its extrapolation, two duals, data


class Timer(Protocol):
    """The part of pytest-benchmark's fixture ``benchmark`` that is used here."""

    extra_info: dict[str, Any]

    def pedantic(
        self,
        target: Callable[..., Any],
        args: Sequence[Any] = (),
        *,
        rounds: int = 1,
        warmup_rounds: int = 0,
    ) -> Any:
        """Time ``target``; return its last result."""
        ...


def composed(
    dataset: Dataset, terms: Sequence[Mapping[str, Any]], engine: str = "auto", precision: str = "single"
) -> Problem:
    """The problem with this engine; skips the benchmark, with the reason, if the engine is not available."""
    options: dict[str, Any] = {"precision": precision, "engine": engine}
    try:
        return compose(dataset, terms, **options)
    except UserError as error:
        if engine == "auto":
            raise
        pytest.skip(str(error))  # the message names the reason
