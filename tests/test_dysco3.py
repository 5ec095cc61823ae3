"""The canonical DyScO3 problem: the objective that each solver reaches, with F written independently of the terms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fusionkit.reconstruct import prepare
from fusionkit.result import Status
from fusionkit.terms import Array

RECORDING = Path(__file__).parents[1].parent / "shared" / "data" / "dysco3.npz"
pytestmark = pytest.mark.skipif(not RECORDING.exists(), reason=f"the DyScO3 recording ({RECORDING.name}) is not here")

BEST = 26436.16  # double precision, several step sizes and starting points
AT_MAPS = 31760.37
# solver: tolerance, the objective that it must reach
REACHED = {
    "chambolle_pock": (1e-4, 26436.70),
    "condat_vu": (1e-3, 26441.5),
    "admm": (1e-3, 26441.5),
    "linearized_admm": (1e-3, 26441.5),
    "proximal_gradient": (1e-3, 26441.5),
    "lbfgsb": (1e-3, 26441.5),
    "pyproximal_primal_dual": (1e-3, 26441.5),
    "pyproximal_admm": (1e-3, 26441.5),
}


def normalised(name: str) -> Array:
    """One image of the recording, minimum 0 and maximum 1."""
    with np.load(RECORDING) as recording:
        image = recording[name].astype(np.float64)
    image -= image.min()
    return image / image.max()


def objective(x: Array) -> float:
    """F of the canonical problem in float64."""
    x = x.astype(np.float64)
    maps = np.stack([normalised(name) for name in ("Sc", "Dy", "O")])
    z = np.array([21.0, 66.0, 8.0])[:, None, None] * 3 / 95
    fit = 0.5 * np.sum((normalised("HAADF") - ((z * x) ** 1.6).sum(axis=0)) ** 2)
    poisson = np.sum(x - maps * np.log(x + 0.1))
    rows, columns = np.zeros_like(x), np.zeros_like(x)
    rows[:, :-1], columns[:, :, :-1] = np.diff(x, axis=1), np.diff(x, axis=2)
    return float(fit + 0.24 * poisson + 0.1 * np.hypot(rows, columns).sum())


def test_the_objective_is_the_stated_one() -> None:
    maps = np.stack([normalised(name) for name in ("Sc", "Dy", "O")])
    assert objective(maps) == pytest.approx(AT_MAPS, abs=0.005)


@pytest.mark.parametrize("solver", REACHED)
def test_reaches_the_optimum(solver: str) -> None:
    tolerance, bound = REACHED[solver]
    job = prepare("dysco3", (f"data.path={RECORDING}", f"solver.type={solver}", f"solver.tolerance={tolerance}"))
    result = job.solve()
    assert result.status is Status.CONVERGED, result.message
    assert result.optimality <= tolerance
    assert np.all(result.x >= 0)
    assert objective(result.x) <= bound
    assert objective(result.x) >= BEST - 0.01
    assert result.objective == pytest.approx(objective(result.x), rel=1e-6)
    assert result.labels == ("Sc", "Dy", "O")
