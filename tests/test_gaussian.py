"""Maps that are not counts: fractions and net maps keep totals and zero, by `fuse` and by a proposed config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusionkit as fk
from fusionkit.cli import main
from fusionkit.data.noise import clipped_noise
from fusionkit.results.result_file import read_result
from fusionkit.terms import Array
from fusionkit.weights.count_splitting import copies

RANDOM = np.random.default_rng(3)
Y, X = np.mgrid[-14:14, -14:14]
SHAPES = {"Ti": (Y**2 + X**2 < 60) * 1.0, "O": ((Y - 3) ** 2 + X**2 < 90) * 0.7 + (X > 6) * 0.3}
VACUUM = (SHAPES["Ti"] == 0.0) & (SHAPES["O"] == 0.0)
IMAGE = 300.0 + (22.0 * SHAPES["Ti"]) ** 1.7 + (8.0 * SHAPES["O"]) ** 1.7 + RANDOM.normal(0.0, 4.0, Y.shape)


def net(level: float, background: float) -> dict[str, Array]:
    """Counts minus the mean of their background: half of the vacuum is negative."""
    return {e: RANDOM.poisson(level * one + background) - background for e, one in SHAPES.items()}


def fractions(level: float, background: float) -> dict[str, Array]:
    """Ratios with noise that is the same everywhere, cut at 0 as by a fit."""
    return {e: np.maximum(one + RANDOM.normal(0.0, background / level, Y.shape), 0.0) for e, one in SHAPES.items()}


CASES = {"net EELS maps": net(30.0, 60.0), "fractions": fractions(20.0, 2.0), "per mille": fractions(20.0, 2.0)}
CASES["per mille"] = {element: 1000.0 * one for element, one in CASES["per mille"].items()}


def check(maps: dict[str, Array], fused: dict[str, Array]) -> None:
    """Totals within 2 % and two standard errors, vacuum within the noise, and less noise than the raw maps."""
    for element, raw in maps.items():
        sigma = clipped_noise(raw)
        allowed = 0.02 * raw.sum() + 2.0 * sigma * raw.size**0.5
        assert fused[element].sum() == pytest.approx(raw.sum(), abs=allowed)
        assert abs(fused[element][VACUUM].mean() - max(raw[VACUUM].mean(), 0.0)) < 0.3 * sigma
        assert fused[element][VACUUM].std() < 0.5 * sigma


@pytest.mark.parametrize("name", ["net EELS maps", "per mille"])
def test_fuse(name: str) -> None:
    fused = fk.fuse(IMAGE, CASES[name])
    check(CASES[name], dict(fused.arrays))
    assert any("not counts" in note for note in fused.notes)
    assert {term["type"] for term in fused.record.resolved_config["terms"]} >= {"gaussian", "joint_nonlocal", "tgv"}


def test_inspect_and_run(tmp_path: Path) -> None:
    maps = CASES["fractions"]
    arrays: dict[str, Any] = {"HAADF": IMAGE, **maps}
    np.savez(tmp_path / "net.npz", **arrays)
    config, run = tmp_path / "my.yaml", tmp_path / "run"
    assert main(["inspect", str(tmp_path / "net.npz"), "--write-config", str(config)]) == 0
    assert "{type: gaussian, sigma: auto}" in config.read_text(encoding="utf-8")
    assert "normalize" not in config.read_text(encoding="utf-8")
    assert main(["run", str(config), "--output", str(run), "--quiet"]) == 0
    result = read_result(run / "result.h5")
    check(maps, dict(zip(result.labels, np.asarray(result.x), strict=True)))
    assert json.loads((run / "summary.json").read_text(encoding="utf-8"))["status"] == "converged"


@pytest.mark.parametrize(("spread", "tolerance"), [(lambda y: 3.0, 0.05), (lambda y: np.where(y > 0, 5.0, 1.0), 0.3)])
def test_the_noise_is_its_mean_square_without_edges(spread: object, tolerance: float) -> None:
    y, x = np.mgrid[-40:40, -40:40]
    level = np.broadcast_to(spread(y), y.shape)  # type: ignore[operator]  # a function of y
    image = 200.0 * (y**2 + x**2 < 600) + RANDOM.normal(0.0, 1.0, y.shape) * level
    assert clipped_noise(image) == pytest.approx(np.sqrt(np.mean(level**2)), rel=tolerance)


def test_copies_are_independent() -> None:
    sigma = np.array([2.0, 0.5]).reshape(2, 1, 1)
    maps = sigma * RANDOM.normal(0.0, 1.0, (2, 60, 60))
    halves = copies(maps, sigma, RANDOM)
    np.testing.assert_allclose((halves.training + halves.held_out) / 2.0, maps, atol=1e-12)
    for one, other, s in zip(halves.training, halves.held_out, sigma.ravel(), strict=True):
        assert one.var() == pytest.approx(2.0 * s**2, rel=0.1)
        assert np.mean(one * other) / s**2 == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": {"Ti": 1.0}}, r"sigma: has none for O"),
        ({"sigma": {"Ti": 1.0, "O": 1.0, "Co": 1.0}}, r"names 'Co', which has no map"),
        ({"sigma": -1.0}, "sigma"),
        ({"data": "haadf"}, "has the shape"),
    ],
)
def test_refusals(options: dict[str, object], message: str) -> None:
    data = fk.Dataset({"haadf": IMAGE, "maps": np.stack(list(SHAPES.values()))}, ("Ti", "O"))
    with pytest.raises(fk.UserError, match=message):
        fk.compose(data, [{"type": "gaussian", **options}])
