"""Accuracy of fitted gain, offset and exponent for simulated detectors: ``python -m benchmarks.calibration``.

Each phantom's image gets a gain of 3.7 and an offset. Its weights match the noise; its TV weight is the same at all
doses. The table has mean errors over recordings and, in brackets, the standard deviation that the fit reports.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.loop import solve
from fusionkit.options import Spec
from fusionkit.reconstruct import starting_point
from fusionkit.report.metrics import nrmse
from fusionkit.result import Result

GAIN, OFFSET = 3.7, 0.1  # the offset as a fraction of the image's maximum
TV = {"cos_nanoparticle": 0.3, "films": 0.3, "lattice": 0.05}


def recording(preset: str, dose: float, size: int, seed: int) -> tuple[Dataset, float]:
    """A phantom recorded by a detector with gain and offset, and the offset."""
    data = load(
        DataOptions.model_validate({"phantom": {"preset": preset, "size": size, "dose": dose, "seed": seed}}),
        Path(),
        "data",
    )
    assert data.haadf_sigma is not None
    image = GAIN * data.arrays["haadf"]
    offset = OFFSET * float(image.max())
    return replace(data, arrays={**data.arrays, "haadf": image + offset}, haadf_sigma=GAIN * data.haadf_sigma), offset


def fit(data: Dataset, tv: float, **model: object) -> Result:
    """The reconstruction with these options of the HAADF model."""
    assert data.haadf_sigma is not None
    terms = [
        {"type": "haadf", "weight": data.haadf_sigma**-2, "gamma": 1.7, **model},
        {"type": "poisson"},
        {"type": "tv", "weight": tv},
        {"type": "nonnegative"},
    ]
    problem = compose(data, [Spec.model_validate(term) for term in terms])
    solver = make_solver("chambolle_pock", tolerance=3e-4, max_iterations=3000)
    return solve(problem, solver, starting_point("auto", problem, data))


def row(preset: str, dose: float, size: int, seeds: int) -> str:
    """One line of the table."""
    gains, offsets, gammas, ratios = [], [], [], []
    for seed in range(seeds):
        data, offset = recording(preset, dose, size, seed)
        assert data.truth is not None
        known = fit(data, TV[preset], gain=GAIN, offset=offset)
        both = fit(data, TV[preset], gain="auto", offset="auto")
        all_three = fit(data, TV[preset], gain="auto", offset="auto", gamma=[1.4, 2.0]).parameters["haadf"]
        found = both.parameters["haadf"]
        gains.append((found["gain"].value / GAIN - 1.0, found["gain"].error / GAIN))
        top = float(data.arrays["haadf"].max())
        offsets.append(((found["offset"].value - offset) / top, found["offset"].error / top))
        gammas.append((all_three["gamma"].value - 1.7, all_three["gamma"].error))
        ratios.append(nrmse(both.x, data.truth) / nrmse(known.x, data.truth))
    cells = [f"{100 * m:+.2f} % ({100 * e:.2f} %)" for m, e in (np.mean(gains, axis=0), np.mean(offsets, axis=0))]
    gamma, spread = np.mean(gammas, axis=0)
    return f"| {preset} | {dose:g} | {cells[0]} | {cells[1]} | {gamma:+.3f} ({spread:.3f}) | {np.mean(ratios):.3f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--size", type=int, default=128, help="pixels along an edge (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="recordings per row (%(default)s)")
    parser.add_argument("--doses", type=float, nargs="+", default=[5.0, 20.0, 100.0], help="counts per pixel")
    chosen = parser.parse_args()
    print("| phantom | dose | gain | offset, of the maximum | gamma, with gain and offset | NRMSE, fitted / known |")
    print("|---|---|---|---|---|---|")
    for preset in TV:
        for dose in chosen.doses:
            print(row(preset, dose, chosen.size, chosen.seeds), flush=True)


if __name__ == "__main__":
    main()
