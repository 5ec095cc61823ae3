"""EELS edges in sets of channels, the shapes of X-ray lines, and the spectra of regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from microscope_files import spectrum_signal, written_by

from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.data.spectra import OTHERS, Spectrum, spectra_in, unmixed
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.export.content import Content
from fusionkit.export.hspy import signals_of
from fusionkit.microscope.reader import MicroscopeReader
from fusionkit.microscope.spectra.edges import bins_of_edges, edges_of_sum
from fusionkit.microscope.spectra.peaks import Calibration, calibrated, peaks, with_weights
from fusionkit.options import parse

LOSSES = 500.0 + np.arange(420)
NET = 400.0  # counts in a pixel


def edge(one: float, two: float) -> np.ndarray:
    """White lines on a step: the L edge of one count."""
    step = np.where(one <= LOSSES, np.clip(0.5 + (LOSSES - one) / 20, 0.0, 1.0) * (LOSSES / one) ** -2.5, 0.0)
    white = np.exp(-((LOSSES - one - 1.5) ** 2) / 4.5) + 0.5 * np.exp(-((LOSSES - two - 1.5) ** 2) / 4.5)
    return 0.8 * step / step.sum() + 0.2 * white / white.sum()


def loaded(folder: Path, **options: Any) -> Dataset:
    """Mn on the left and Fe on the right of 12 x 8 pixels, on a background of other exponents."""
    pytest.importorskip("exspy", reason="eXSpy is not installed: pip install 'fusionkit-em[io]'")
    left = np.arange(8) < 4
    laws = np.stack([(LOSSES / 500.0) ** -r for r in np.where(left, 2.6, 3.2)])
    mean = NET * (left[:, None] * edge(640.0, 651.0) + ~left[:, None] * edge(708.0, 721.0))
    mean = mean + 3 * NET * laws / laws.sum(axis=1, keepdims=True)
    counts = np.random.default_rng(3).poisson(np.broadcast_to(mean, (12, 8, LOSSES.size))).astype(np.uint16)
    made = spectrum_signal("EELS", counts, ("Mn", "Fe"), scale=1.0, offset=500.0, units="eV")
    written_by("rsciio.hspy", lambda: made)(folder / "a.hspy")
    source = {"method": "spectral", "elements": ["Mn", "Fe"], **options}
    return load(parse(DataOptions, {"path": "a.hspy", "spectra": {"maps": source}}, "data"), folder)


def test_overlapping_edges_are_told_apart(tmp_path: Path) -> None:
    data = loaded(tmp_path, regions=[[0, 12, 0, 4]])
    maps, background = data.arrays["maps"], data.arrays["maps_background"]
    mn, fe = unmixed(maps, background, data.arrays["maps_mixing"])
    for own, other in ((mn[:, :4], mn[:, 4:]), (fe[:, 4:], fe[:, :4])):
        assert own.sum() == pytest.approx(48 * NET, rel=0.2)  # the cross section's tail is another one
        assert abs(other.sum()) < 0.05 * own.sum()
    whole, region = spectra_in("maps", data.arrays["maps_spectrum"], ("Mn", "Fe"))
    assert region.name == "maps, rows 0:12, columns 0:4"
    assert region.parts["Mn"].sum() == pytest.approx(whole.parts["Mn"].sum(), rel=0.1)
    assert region.parts["Fe"].sum() < 0.05 * whole.parts["Fe"].sum()
    assert region.counts.sum() == pytest.approx(region.model.sum(), rel=0.02)
    assert np.sqrt(np.mean(region.residual**2)) < 1.5


@pytest.mark.parametrize("iron", [0.3, 1.0, 10.0])
def test_low_losses_follow_continuum_and_white_lines(iron: float, tmp_path: Path) -> None:
    pytest.importorskip("exspy", reason="eXSpy is not installed: pip install 'fusionkit-em[io]'")
    cube = np.ones((2, 2, LOSSES.size), np.uint16)
    made = spectrum_signal("EELS", cube, ("Mn", "Fe"), scale=1.0, offset=500.0, units="eV")
    written_by("rsciio.hspy", lambda: made)(tmp_path / "a.hspy")
    signal = MicroscopeReader().open(tmp_path / "a.hspy").spectrum_image(None, "spectra")
    bins = bins_of_edges(signal, ["Mn", "Fe"], "elements")
    losses = np.repeat([0.55, 0.0, 0.035, 0.0, 0.01], [1, 17, 10, 12, 10])  # a plasmon, and two
    held = slice(bins[0][0], bins[-1][1])
    law = (LOSSES / 500.0) ** -3
    pair = zip((1e6, 1e6 * iron), (edge(640.0, 651.0), edge(708.0, 721.0)), strict=True)
    parts = np.stack([counts * np.convolve(one, losses)[: LOSSES.size] for counts, one in pair])[:, held]
    total = parts.sum(axis=0) + (3e6 * law / law.sum())[held]
    wrong = []
    for known in (losses, None):
        shapes, amounts, _ = edges_of_sum(signal, ["Mn", "Fe"], total, bins, known, "elements")
        wrong.append(np.abs(amounts[:2, None] * shapes[:2] - parts).sum() / parts.sum())
    assert wrong[0] < 0.16
    assert wrong[0] < 0.6 * wrong[1]


def test_an_edge_that_the_spectra_do_not_show_is_named(tmp_path: Path) -> None:
    with pytest.warns(FusionkitWarning, match=r"Co is not detected: .* counts of its edges, and the limit is"):
        loaded(tmp_path, elements=["Mn", "Fe", "Co"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regions": [[0, 13, 0, 4]]}, r"regions\[0\]: \[0, 13, 0, 4\] is no part of 12 rows and 8 columns"),
        ({"elements": ["Mn", "C"]}, "C has no K or L edge within the spectra of 'spectra'; leave it out"),
        ({"method": "windows", "regions": [[0, 1, 0, 1]]}, "has 'regions', which method: windows does not take"),
    ],
)
def test_refusals(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        loaded(tmp_path, **options)


def test_tails_bends_and_weights_of_lines_are_fitted() -> None:
    edges = np.arange(300.0, 6000.0, 40.0)
    table = {("Si", "K"): [(1740.0, 1.0)], ("Fe", "L"): [(705.0, 1.0), (792.0, 0.5)], ("Ti", "K"): [(4511.0, 1.0)]}
    true = {**table, ("Fe", "L"): [(705.0, 1.0), (792.0, 0.7)]}
    given = Calibration(-10.0, 1.0, 130.0, 25.0, 0.2)
    hats = np.stack([np.interp(edges[1:], [300.0, 3000.0, 6000.0], one) for one in np.eye(3)])
    amounts = np.array([4e4, 3e4, 5e4])
    total = amounts @ peaks(edges, true, given) + 100.0
    found = calibrated(edges, true, hats, total, Calibration(0.0, 1.0, 130.0))
    assert found.tail == pytest.approx(0.2, abs=0.03)
    for energy in (705.0, 1740.0, 4511.0):
        assert found.shift(energy) == pytest.approx(given.shift(energy), abs=1.0)
    (_, one), (_, other) = with_weights(edges, table, hats, total, given, amounts, total)[("Fe", "L")]
    assert other / one == pytest.approx(0.7, abs=0.02)


def test_exports_hold_spectra() -> None:
    energies = np.array([1.0, 1.1, 1.3])
    one = Spectrum("maps", energies, np.array([0.1, 0.1, 0.2]), np.array([10.0, 20.0, 40.0]), {OTHERS: np.full(3, 9.0)})
    signals = signals_of(Content({"Co": np.ones((2, 3))}, spectra=(one,)))
    titles = [signal["metadata"]["General"]["title"] for signal in signals]
    assert titles == ["Co", "counts per keV of maps", "model per keV of maps", "residual of maps"]
    (axis,) = signals[1]["axes"]
    assert (axis["size"], axis["offset"], axis["scale"]) == (4, 1.0, pytest.approx(0.1))
    assert signals[1]["data"] == pytest.approx([100.0, 200.0, 200.0, 200.0])
