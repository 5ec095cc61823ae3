"""For all tests: hypothesis without deadlines, since a busy machine is no defect; paths to benchmarks; a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("fusionkit", deadline=None, max_examples=25)
settings.load_profile("fusionkit")
# benchmarks are not installed; last, so that the tests see the installed fusionkit and not the checkout's
sys.path.append(str(Path(__file__).parents[1]))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Long forms of tests that are short by default."""
    group = parser.getgroup("fusionkit")
    group.addoption(
        "--damages", type=int, default=50, help="damaged copies of each microscope format (default: 50; long run: 500)"
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for reports; its tests skip where there is none."""
    from opened_reports import launched

    with launched() as one:
        yield one
