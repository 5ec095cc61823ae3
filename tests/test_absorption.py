"""Maps from counts and a bright-field image, end to end: the image improves them."""

from __future__ import annotations

import numpy as np
import pytest

from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.loop import solve
from fusionkit.result import Result, Status
from fusionkit.terms import Array

SHAPE = (2, 24, 20)
MU, INCIDENT = {"Co": 0.05, "S": 0.02}, 200.0  # per count of an element; counts of the vacuum


def truth() -> Array:
    """A disc of cobalt and a bar of sulphur, in counts."""
    rows, columns = np.mgrid[:24, :20]
    disc = 18.0 * ((rows - 11) ** 2 + (columns - 8) ** 2 < 49)
    return np.stack([disc, np.where((columns > 6) & (columns < 16) & (rows > 3), 12.0, 0.0)])


def fitted(image: bool) -> Result:
    """The fit to the counts, with or without the bright-field image."""
    random, x = np.random.default_rng(1), truth()
    depth = np.tensordot(list(MU.values()), x, 1)
    arrays = {
        "maps": random.poisson(x + 0.1).astype(float),
        "bright": random.poisson(INCIDENT * np.exp(-depth)).astype(float),
    }
    bright = {
        "type": "poisson",
        "name": "bright",
        "data": "bright",
        "forward": {"type": "absorption", "mu": MU, "incident": INCIDENT},
    }
    terms = [{"type": "poisson"}, {"type": "tv", "weight": 0.3}, {"type": "nonnegative"}, *([bright] if image else [])]
    problem = compose(Dataset(arrays, ("Co", "S")), terms, precision="double", engine="numpy")
    solver = make_solver("chambolle_pock", tolerance=1e-5, max_iterations=5000)
    return solve(problem, solver, arrays["maps"] + 0.1)


def test_bright_field_improves_the_maps() -> None:
    x = truth()
    with_image, without = fitted(True), fitted(False)
    assert with_image.status is without.status is Status.CONVERGED
    depth, seen = (np.tensordot(list(MU.values()), maps, 1) for maps in (x, with_image.x))
    assert np.sqrt(np.mean((seen - depth) ** 2)) < 0.05  # of depths to 1.1
    assert np.linalg.norm(with_image.x - x) < 0.9 * np.linalg.norm(without.x - x)
    assert with_image.x.sum() == pytest.approx(x.sum(), rel=0.02)
