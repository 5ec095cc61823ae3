"""Windows that mislead give a warning that says why, and none where they are right."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionkit.data.options import SpectrumSource
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.facts import Facts
from fusionkit.microscope.reader import MicroscopeRecording
from fusionkit.microscope.signals import ArrayValues, Axis, Signal

pytest.importorskip("exspy", reason="the extra 'io' is not installed")
N = 12  # pixels along an edge
X_RAYS = np.arange(1400) * 0.01 - 0.2  # keV
LOSSES = 400.0 + np.arange(600) * 0.5  # eV


def recording(kind: str, energies: np.ndarray, rate: np.ndarray) -> MicroscopeRecording:
    counts = np.random.default_rng(0).poisson(np.broadcast_to(rate, (N, N, energies.size)))
    unit = "keV" if kind == "EDS_TEM" else "eV"
    axis = Axis("E", energies.size, float(energies[1] - energies[0]), float(energies[0]), unit, True)
    axes = (Axis("y", N, 1.0, 0.0, "nm"), Axis("x", N, 1.0, 0.0, "nm"), axis)
    facts = Facts("s", kind, metadata={"beam_energy_keV": 200.0})
    return MicroscopeRecording(Path("s"), {"s": Signal("s", Path("s"), ArrayValues(counts), axes, facts)})


def x_rays(counts: dict[str, float], shift: float = 0.0, gain: float = 1.0) -> MicroscopeRecording:
    """``counts`` of the strongest line of each element in a pixel, on a weak background."""
    from fusionkit.microscope.spectra.lines import _table, fwhm

    rate = 0.003 * np.exp(-X_RAYS / 3.0) * (X_RAYS > 0.1)
    for element, amount in counts.items():
        for line in _table(element)["Xray_lines"].values():
            energy = float(line["energy (keV)"])
            width = fwhm(1000.0 * energy, 130.0) / 2354.8
            shape = np.exp(-0.5 * ((X_RAYS - energy * gain - shift) / width) ** 2)
            rate = rate + amount * float(line["weight"]) * shape * 0.01 / (2.5066 * width)
    return recording("EDS_TEM", X_RAYS, rate)


def losses(onsets: tuple[float, ...], shift: float = 0.0) -> MicroscopeRecording:
    parts = (np.where(onset + shift <= LOSSES, 40.0 * (LOSSES / onset) ** -3, 0.0) for onset in onsets)
    return recording("EELS", LOSSES, 80.0 * (LOSSES / 400.0) ** -3 + sum(parts))


PLAIN = {"Ti": 20.0, "Co": 15.0}
MG_AL_SI = {"Mg": 40.0, "Al": 3.0, "Si": 30.0}
AROUND = {"background": "windows"}
LAW = {"background": "power_law"}
# recording, options of the source, and the warnings in their order
CASES: dict[str, tuple[MicroscopeRecording, dict[str, Any], tuple[str, ...]]] = {
    "right": (x_rays(PLAIN), {"elements": ["Ti", "Co"], **AROUND}, ()),
    "right by hand": (x_rays(PLAIN), {"windows": {"Ti": [4.4, 4.62], "Co": [6.8, 7.05]}}, ()),
    "right though shifted": (x_rays(PLAIN, 0.06), {"windows": {"Ti": [4.456, 4.688], "Co": [6.85, 7.13]}}, ()),
    "background on lines": (x_rays(MG_AL_SI), {"elements": ["Al"], **AROUND}, ("background of Al .* exceeds the",)),
    "background on a weaker line": (
        x_rays({"Al": 20.0, "Si": 12.0}),
        {
            "elements": ["Al"],
            "windows": {"Al": [1.4, 1.57]},
            "background_windows": {"Al": [1.2, 1.3, 1.7, 1.78]},
            **AROUND,
        },
        ("background of Al is estimated as .* lie on lines of other elements; write method: spectral",),
    ),
    "a named line": (
        x_rays({"S": 20.0, "Mo": 20.0}),
        {"elements": ["S", "Mo"]},
        ("windows of S and Mo overlap",),
    ),
    "a line of a named element": (
        x_rays({"O": 20.0, "Ti": 30.0}),
        {"elements": ["O", "Ti"]},
        ("window of O .* of O and .* of Ti;",),
    ),
    "an unnamed line": (x_rays({"Si": 20.0, "W": 20.0}), {"elements": ["Si"]}, ("window of Si .* of Si and .* of W;",)),
    "shifted": (x_rays(PLAIN, 0.12), {"elements": ["Ti"]}, (r"holds 4\d% .* lie \+1[12]\d eV .* windows: {Ti: \[4.5",)),
    "gain": (x_rays(PLAIN, gain=0.98), {"elements": ["Co"]}, (r"window of Co .* lie -1[34]\d eV",)),
    "no line": (x_rays(PLAIN), {"windows": {"Ti": [5.2, 5.6]}}, ("window of Ti .* holds no line of it: move it",)),
    "absent": (x_rays(PLAIN), {"elements": ["Ti", "Ag"]}, ("window of Ag .* shows no line of it",)),
    "noise": (x_rays({**PLAIN, "B": 9.0}), {"elements": ["B"]}, ("window of B .* reaches below 0.2 keV",)),
    "edges": (losses((456.0, 532.0)), {"elements": ["Ti", "O"], **LAW}, ()),
    "edge in the window": (
        losses((513.0, 532.0)),
        {"elements": ["V", "O"], **LAW},
        (
            "windows of V and O overlap",
            "window of V .* holds the edge of O at 532 eV",
            "background .* of O .* of V at 513",
        ),
    ),
    "no edge": (losses((456.0,)), {"elements": ["Ti", "O"], **LAW}, ("background of O .* it shows no edge",)),
    "edge before": (losses((456.0,), -12.0), {"elements": ["Ti"], **LAW}, ("window of Ti .* begins before it",)),
    "edge behind": (losses((456.0,), 15.0), {"elements": ["Ti"], **LAW}, ("window of Ti .* behind its beginning",)),
    "another edge's window": (
        losses((456.0,)),
        {"windows": {"O": [456, 506]}},
        ("window of O .* holds no edge of it",),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_windows(name: str) -> None:
    file, options, doubts = CASES[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FusionkitWarning)
        file.counts(SpectrumSource(**options), "data.spectra.maps")
    said = [str(one.message) for one in caught]
    assert len(said) == len(doubts), said
    for doubt, one in zip(doubts, said, strict=True):
        assert re.search(doubt, one)


@pytest.mark.parametrize(
    "options", [{"elements": ["Ti", "H"]}, {"windows": {"H": [0.05, 0.15]}}, {"method": "spectral", "elements": ["H"]}]
)
def test_hydrogen_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="H has no line"):
        CASES["right"][0].counts(SpectrumSource(**options), "data.spectra.maps")


def test_nan_in_a_window_of_the_background() -> None:
    """It is refused where the data are read, or left out."""
    (signal,) = losses((532.0,)).signals.values()
    values = signal.data.read().astype(np.float64)
    values[3, 4, 200] = np.nan  # at 500 eV
    file = MicroscopeRecording(Path("s"), {"s": replace(signal, data=ArrayValues(values))})
    source = SpectrumSource(elements=["O"], background="power_law", smooth=1.0)
    with pytest.raises(UserError, match=r"has 1 NaN .* data\.mask: nan"):
        file.counts(source, "data.spectra.maps")
    found = file.counts(source, "data.spectra.maps", masked=True)
    assert found.background is not None
    assert np.argwhere(np.isnan(found.maps[0])).tolist() == [[3, 4]]
    assert np.isfinite(found.background).all()


@pytest.mark.parametrize(("dose", "error"), [(20.0, 0.25), (200.0, 0.1)])
def test_the_background_is_smoothed_as_little_as_its_counts_permit(dose: float, error: float) -> None:
    """A background smoothed at any dose is wrong at edges: sums of EELS maps were 15 to 18 % too high."""
    inside = np.zeros((N, N, 1))
    inside[:, : N // 2] = 1.0
    law = dose * (LOSSES / 400.0) ** -3
    rate = law * (0.2 + inside) + law * inside * np.where(LOSSES >= 532.0, 0.5, 0.0)
    file = recording("EELS", LOSSES, rate)
    found = file.counts(SpectrumSource(elements=["O"], background="power_law"), "data.spectra.maps")
    assert found.background is not None
    net = (found.maps - found.background)[0]
    truth = (rate - law * (0.2 + inside))[..., (LOSSES >= 532.0) & (LOSSES < 582.0)].sum(-1)
    assert net.sum() == pytest.approx(truth.sum(), rel=0.05)
    assert np.sqrt(np.mean((net - truth) ** 2)) < error * truth.max()
