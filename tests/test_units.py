"""Units do not matter: maps and images in units a million times larger or smaller give the same solve."""

from __future__ import annotations

import numpy as np
import pytest

import fusionkit as fk
from fusionkit.result import Result, Status
from fusionkit.terms import Array

UNITS = [(1e-6, 1.0), (1e6, 1.0), (1.0, 1e-6), (1.0, 1e6), (1e-6, 1e6)]


def solved(unit: float, light: float, epsilon: float, solver: str) -> Result:
    random = np.random.default_rng(0)
    truth: Array = np.zeros((2, 20, 20))
    truth[0, 4:14, 3:12], truth[1, 9:17, 8:18] = 20.0, 12.0
    z = {"O": 0.6, "Ti": 1.4}
    image = ((np.array(list(z.values()))[:, None, None] * truth) ** 1.7).sum(axis=0)
    noise = 0.02 * image.max()
    image += random.normal(0.0, noise, image.shape)
    data = fk.Dataset({"haadf": image * light, "maps": random.poisson(truth) * unit}, elements=tuple(z))
    scaled = {name: value / unit * light ** (1 / 1.7) for name, value in z.items()}
    terms = [
        {"type": "haadf", "weight": (noise * light) ** -2, "gamma": 1.7, "z": scaled},
        {"type": "poisson", "weight": 1.0 / unit, "epsilon": epsilon * unit},
        {"type": "tv", "weight": 0.3 / unit},
        "nonnegative",
    ]
    problem = fk.compose(data, terms)
    made = fk.make_solver(solver, max_iterations=1000, tolerance=1e-4)
    return fk.solve(problem, made, fk.starting_point("auto", problem, data))


@pytest.mark.parametrize("solver", ["chambolle_pock", "admm"])
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_units_do_not_matter(epsilon: float, solver: str) -> None:
    known = solved(1.0, 1.0, epsilon, solver)
    for unit, light in UNITS:
        actual = solved(unit, light, epsilon, solver)
        assert actual.status is Status.CONVERGED
        assert actual.iterations < 2 * known.iterations + 50
        assert np.linalg.norm(actual.x / unit - known.x) < 2e-3 * np.linalg.norm(known.x)
