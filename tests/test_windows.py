"""Background windows avoid lines of other elements; inspect handles counts of any level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionkit.data.counts.convert import counted
from fusionkit.data.dataset import Dataset
from fusionkit.errors import FusionkitWarning
from fusionkit.microscope.facts import Facts
from fusionkit.microscope.propose.default_terms import default_terms
from fusionkit.microscope.signals import ArrayValues, Axis, Signal
from fusionkit.microscope.spectra.lines import fwhm, window_of
from fusionkit.report.raw_maps import raw_maps

pytest.importorskip("exspy", reason="the extra 'io' is not installed")


def signal(kind: str, first: float, width: float, units: str) -> Signal:
    axes = (Axis("y", 2), Axis("x", 2), Axis("E", 1000, width, first, units, True))
    return Signal("s", Path("s.hspy"), ArrayValues(np.zeros((2, 2, 1000))), axes, Facts(signal_type=kind))


EDX = signal("EDS_TEM", 0.0, 0.01, "keV")
# element, others, and how many windows are left; energies of the others' lines in eV that they keep clear of
BESIDE = [
    ("O", (), 2, ()),
    ("O", ("N",), 1, (392.4,)),
    ("O", ("Ti",), 1, (395.0, 452.0)),
    ("N", ("O",), 1, (524.9,)),
    ("Si", ("N", "O"), 2, (392.4, 524.9)),
]


@pytest.mark.parametrize(("element", "others", "count", "lines"), BESIDE)
def test_windows_of_x_rays_keep_clear(
    element: str, others: tuple[str, ...], count: int, lines: tuple[float, ...]
) -> None:
    found = window_of(EDX, element, None, "", (*others, element))
    assert len(found.background) == count
    for first, last in found.background:
        for line in lines:
            half = 0.9 * fwhm(line, 130.0)
            assert not (1000 * first < line + half and 1000 * last > line - half)


def test_a_background_without_room_is_said() -> None:
    with pytest.warns(FusionkitWarning, match="the background of O_Ka overlaps lines of N, F"):
        assert len(window_of(EDX, "O", None, "", ("N", "O", "F")).background) == 2


def test_windows_before_edges_start_behind_the_edge_before() -> None:
    eels = signal("EELS", 400.0, 0.5, "eV")
    assert window_of(eels, "O", None, "").background[0][0] == pytest.approx(0.85 * 532)
    assert window_of(eels, "O", None, "", ("O", "Ti")).background[0][0] > 456 + 20
    assert window_of(eels, "Ti", None, "").background == ((400.0, pytest.approx(0.98 * 456)),)  # all of it


@pytest.mark.parametrize("factor", [0.5, 20.0])
def test_a_proposal_holds_no_number_of_its_file(factor: float) -> None:
    """So that it suits files of other contrast and dose as well."""
    rng = np.random.default_rng(0)
    maps = rng.poisson(factor * 4.0, (2, 32, 32)).astype(float)
    image = 7.0 + factor * (maps.sum(axis=0) + rng.standard_normal((32, 32)))
    data = Dataset({"haadf": image, "maps": maps}, elements=("Ti", "O"), stacks={"maps": ("Ti", "O")})
    found = default_terms(data, False)
    assert (found.offset, found.scale) == (0.0, 1.0)
    assert found.terms == default_terms(replace(data, arrays={"haadf": 3.0 - image, "maps": maps + 1.0}), False).terms


def test_rates_take_their_background_along() -> None:
    counts = np.random.default_rng(0).poisson(9.0, (2, 16, 16)).astype(float)
    data = Dataset({"maps": 250.0 * counts, "maps_background": 250.0 * np.full_like(counts, 3.0)}, ("Co", "O"))
    found = counted(data, "rates")
    np.testing.assert_array_equal(found.arrays["maps"], counts)
    np.testing.assert_allclose(found.arrays["maps_background"], 3.0)


def test_raw_maps_come_from_whichever_stack_has_them() -> None:
    arrays = {"maps": np.zeros((2, 4, 4)), "eels": np.ones((2, 8, 8))}
    stacks = {"eels": ("Co", "O"), "maps": ("Ti", "Co")}
    found = raw_maps(arrays, stacks, ("Ti", "Co", "O", "Fe"), 4, {})
    assert [None if one is None else one.shape for one in found.images] == [(4, 4), (4, 4), (8, 8), None]
    assert found.name == "raw"
    assert raw_maps({"maps": np.zeros((4, 4))}, {}, ("x",), 1, {}).images[0] is not None
    assert raw_maps({}, {}, ("x",), 1, {}).images == (None,)


FORWARDS: list[tuple[Any, float]] = [
    ({"type": "elements", "elements": ["O"]}, 1.0),
    ({"type": "elements", "elements": {"O": 4.0}}, 4.0),
    ({"type": "scan", "forward": {"type": "elements", "elements": {"O": 4.0}}}, 4.0),
    ({"type": "identity"}, 1.0),
]


@pytest.mark.parametrize(("forward", "factor"), FORWARDS)
def test_raw_maps_are_on_the_footing_of_the_fused_ones(forward: Any, factor: float) -> None:
    """A background that the model adds is subtracted, and its factor is divided out."""
    rng = np.random.default_rng(0)
    maps, eels, beneath = (rng.poisson(level, (1, 6, 6)) for level in (5.0, 90.0, 70.0))
    arrays = {"maps": maps, "eels": eels, "eels_background": beneath + 0.5}
    config = {"terms": ["haadf", {"type": "poisson", "data": "eels", "forward": forward}]}
    found = raw_maps(arrays, {"maps": ("Ti",), "eels": ("O",)}, ("Ti", "O"), 2, config)
    assert found.name == "raw − background"
    ti, oxygen = found.images
    np.testing.assert_array_equal(ti, maps[0])
    assert oxygen is not None
    np.testing.assert_allclose(oxygen, (eels[0] - beneath[0] - 0.5) / factor)


@pytest.mark.parametrize("resolution", [65.0, 100.0, 121.0, 125.0, 130.0, 150.0])
def test_widths_of_lines(resolution: float) -> None:
    """As stated at Mn Ka, growing with energy, and above the noise of the electronics for soft lines."""
    widths = [fwhm(energy, resolution) for energy in (100.0, 277.0, 525.0, 1740.0, 5898.75, 8048.0)]
    assert widths[4] == pytest.approx(resolution)
    assert widths == sorted(widths)
    assert widths[0] > min(30.0, resolution / 2)
    if resolution == 130.0:  # Fiori and Newbury
        assert widths[2] == pytest.approx(np.sqrt(2.5 * (525.0 - 5898.75) + 130.0**2))
