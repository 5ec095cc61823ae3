"""Counts of elements by a fit of EDX spectra: overlapping lines, faint elements, unsupported spectra."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from microscope_files import spectrum_signal, written_by
from scipy.stats import norm

from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.data.spectra import spectra_in, unmixed
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.spectra.channel_sets import sets_of
from fusionkit.microscope.spectra.fit import maximum_likelihood
from fusionkit.options import parse
from fusionkit.report.figures.spectrum import spectrum_figure

pytest.importorskip("rsciio", reason="RosettaSciIO is not installed: pip install 'fusionkit-em[io]'")
pytest.importorskip("exspy", reason="eXSpy is not installed: pip install 'fusionkit-em[io]'")

SIZE, WIDTH = 32, 0.01  # pixels, keV
ENERGIES = WIDTH * np.arange(600)
# energies in keV and weights of the lines that show, from eXSpy's table
FAMILIES = {
    "O": [(0.5249, 1.0)],
    "Ti": [(4.5109, 1.0), (4.9318, 0.11673)],
    "Ti L": [(0.4555, 0.694), (0.4012, 0.491), (0.3952, 1.0), (0.5291, 0.166)],
    "Pd": [(2.8386, 1.0), (2.9903, 0.34375), (3.1683, 0.10349), (3.0728, 0.0682), (3.0452, 0.0407), (2.5034, 0.0412)],
}


def shape(lines: list[tuple[float, float]], resolution: float = 130.0) -> np.ndarray:
    """The spectrum of one count in a detector with that FWHM at Mn Ka."""
    sigmas = [np.sqrt(2.5 * (1000 * energy - 5898.75) + resolution**2) / 2355 for energy, _ in lines]
    found = sum(w * norm.pdf(ENERGIES, e, s) for (e, w), s in zip(lines, sigmas, strict=True))
    return np.asarray(found / np.sum(found))


def truth() -> dict[str, np.ndarray]:
    """Counts per pixel: oxide on the left, oxygen alone on the right, a faint particle of palladium."""
    rows, columns = np.indices((SIZE, SIZE))
    ti = np.where(columns < SIZE // 2, 12.0, 0.0)
    pd = np.where((rows - 10) ** 2 + (columns - 20) ** 2 < 40, 0.6, 0.0)
    return {"O": np.full((SIZE, SIZE), 6.0), "Ti": ti, "Ti L": 0.7 * ti, "Pd": pd}


def recorded(folder: Path, **options: Any) -> Dataset:
    """A recording of the truth with a background that falls with energy, loaded with ``options``."""
    background = 6.0 * np.exp(-ENERGIES / 2.0) * (ENERGIES > 0.1)
    mean = np.broadcast_to(background * WIDTH / 2.0, (SIZE, SIZE, ENERGIES.size)).copy()
    for name, amounts in truth().items():
        mean += amounts[..., None] * shape(FAMILIES[name])
    counts = np.random.default_rng(5).poisson(mean).astype(np.uint16)
    made = spectrum_signal(data=counts, elements=("O", "Ti", "Pd"), scale=WIDTH)
    written_by("rsciio.hspy", lambda: made)(folder / "a.hspy")
    source = {"lines": {"Ti": "Ka", "O": "Ka", "Pd": "Pd_La"}, **options}
    return load(parse(DataOptions, {"path": "a.hspy", "spectra": {"maps": source}}, "data"), folder)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return recorded(tmp_path_factory.mktemp("fit"), method="fit")


def test_sums_are_those_of_the_truth_where_lines_overlap(fitted: Dataset, tmp_path: Path) -> None:
    with pytest.warns(FusionkitWarning, match=r"window of O .* counts of O and .* of Ti"):
        windows = recorded(tmp_path, method="windows", background="windows")
    assert fitted.elements == windows.elements == ("Ti", "O", "Pd")
    known = truth()
    for element, image in zip(fitted.elements, fitted.arrays["maps"], strict=True):
        total = known[element].sum()
        assert image.sum() == pytest.approx(total, abs=4 * np.sqrt(total))
    oxygen = windows.arrays["maps"][1].sum() - windows.arrays["maps_background"][1].sum()
    assert abs(oxygen - known["O"].sum()) > 5 * np.sqrt(known["O"].sum())  # it holds a part of Ti's L lines


def test_maps_scatter_like_counts(fitted: Dataset) -> None:
    """The variance about the truth is at most that of counts; a fraction of a count per hundred pixels is misplaced."""
    assert fitted.arrays["maps"].min() >= 0.0
    for element, image in zip(fitted.elements, fitted.arrays["maps"], strict=True):
        expected = truth()[element]
        held = expected > 0
        assert np.mean((image - expected)[held] ** 2 / expected[held]) < 1.1
        assert image[~held].sum() <= 0.06 * (~held).sum()


def test_an_oxide_and_its_support_hold_as_much_oxygen(fitted: Dataset) -> None:
    image = fitted.arrays["maps"][1]
    left, right = image[:, : SIZE // 2], image[:, SIZE // 2 :]
    assert left.mean() == pytest.approx(6.0, abs=0.35)
    assert right.mean() == pytest.approx(6.0, abs=0.35)


def test_fitted_counts_are_counts(fitted: Dataset) -> None:
    assert fitted.counts_per_unit == 1.0
    assert fitted.counting is not None
    assert (fitted.counting.kind, fitted.counting.guessed) == ("counts", False)
    assert "maps_background" not in fitted.arrays
    assert len(fitted.notes) == 1
    assert "O 6" in fitted.notes[0]
    deviance = float(fitted.notes[0].split(" times its")[0].split()[-1])
    assert deviance == pytest.approx(1.0, abs=0.4)


@pytest.mark.parametrize("seed", range(3))
def test_the_likelihood_is_maximal(seed: int) -> None:
    """Against CVXPY, on overlapping shapes."""
    rng = np.random.default_rng(seed)
    shapes = np.stack([shape(lines)[20:400:4] for lines in FAMILIES.values()]) + 1e-3
    counts = rng.poisson(rng.uniform(0, 60, (5, len(shapes))) @ shapes).astype(float)

    def loss(amounts: np.ndarray, one: np.ndarray) -> float:
        mean = amounts @ shapes
        return float(np.sum(mean - one * np.log(np.maximum(mean, 1e-300))))

    for one, actual in zip(counts, maximum_likelihood(counts, shapes, np.ones(len(shapes))), strict=True):
        x = cp.Variable(len(shapes), nonneg=True)
        held = one > 0
        likelihood = cp.sum(cp.multiply(one[held], cp.log(x @ shapes[:, held])))
        cp.Problem(cp.Minimize(cp.sum(x @ shapes) - likelihood)).solve(solver=cp.CLARABEL)
        assert loss(actual, one) <= loss(np.maximum(np.asarray(x.value), 0.0), one) + 1e-3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lines": {}, "windows": {"Ti": [4.0, 5.0]}}, "has 'windows', which method: fit does not take"),
        ({"background": "windows"}, "has 'background', which method: fit does not take"),
        ({"subtract": True}, "which method: fit does not take"),
        ({"lines": {"Pd": "Ka"}}, "the K lines of Pd lie outside the spectra; name others"),
        ({"lines": {"Pd": "Kx"}}, "Pd has no line 'Kx'"),
        ({"lines": {"Co": "Ka"}, "elements": ["Pd"]}, "is not an element of these maps"),
        ({"method": "fits"}, "data.spectra.maps.method"),
        ({"method": "spectral", "lines": {"Ti": "Ka"}}, "has 'lines', which method: spectral does not take"),
        ({"method": "windows", "background": "fit"}, "is 'fit'; write method: spectral, and forward: spectral"),
    ],
)
def test_refusals(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        recorded(tmp_path, **{"method": "fit", **options})


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("EELS", np.ones((4, 4, 200)), "method: fits lines, but 'spectra' of .* is not an EDX spectrum image"),
        ("EDS_TEM", np.full((4, 4, 200), -1.0), "holds values that are not counts; use method: windows"),
        ("EDS_TEM", np.full((4, 4, 200), np.nan), "holds NaN; use method: windows .* with data.mask: nan"),
    ],
)
def test_what_it_does_not_fit(tmp_path: Path, kind: str, data: np.ndarray, said: str) -> None:
    made = spectrum_signal(kind, data, ("O", "Ti"), scale=0.05)
    written_by("rsciio.hspy", lambda: made)(tmp_path / "a.hspy")
    options = {"path": "a.hspy", "spectra": {"maps": {"method": "fit"}}}
    with pytest.raises(UserError, match=said):
        load(parse(DataOptions, options, "data"), tmp_path)


def test_lines_that_coincide_are_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    made = spectrum_signal(data=rng.poisson(0.5, (6, 6, 600)), elements=("S", "Mo"), scale=WIDTH)
    written_by("rsciio.hspy", lambda: made)(tmp_path / "a.hspy")
    options = {"path": "a.hspy", "spectra": {"maps": {"method": "fit"}}}
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        load(parse(DataOptions, options, "data"), tmp_path)
    expected = "can hardly separate the K lines of S from the L lines of Mo"
    assert any(expected in str(one.message) for one in found)


DISCS = np.hypot(*np.meshgrid(np.arange(20) - 9.5, np.arange(20) - 9.5)) < 7
# the family of each element, its counts per pixel, and whether it is in the left half
OVERLAPS: dict[str, dict[str, tuple[str, float, bool]]] = {
    "Ti beside Ba": {"Ti": ("K", 20.0, True), "Ba": ("L", 30.0, False)},
    "V beside Cr": {"V": ("K", 20.0, True), "Cr": ("K", 20.0, False)},
    "Al between Mg and Si": {"Mg": ("K", 40.0, True), "Al": ("K", 3.0, True), "Si": ("K", 30.0, True)},
}


def table_lines(element: str, family: str) -> list[tuple[float, float]]:
    """Energies in keV and weights, from eXSpy."""
    from exspy.material import elements

    lines = elements[element].Atomic_properties.Xray_lines.as_dictionary()
    return [(one["energy (keV)"], one["weight"]) for name, one in lines.items() if name.startswith(family)]


@pytest.mark.parametrize("shift", [0.0, 0.05, -0.08])
@pytest.mark.parametrize("case", OVERLAPS)
def test_overlapping_lines_are_told_apart(tmp_path: Path, case: str, shift: float) -> None:
    """Also where the energies of the file are off: the counts of each element are in its own half alone."""
    mean = np.full((20, 20, ENERGIES.size), 0.002)
    left = np.arange(20) < 10
    for element, (family, amount, on_left) in OVERLAPS[case].items():
        lines = [(energy + shift, weight) for energy, weight in table_lines(element, family)]
        mean += amount * (DISCS & (left == on_left))[..., None] * shape(lines)
    counts = np.random.default_rng(4).poisson(mean).astype(np.uint16)
    made = spectrum_signal(data=counts, elements=tuple(OVERLAPS[case]), scale=WIDTH)
    written_by("rsciio.hspy", lambda: made)(tmp_path / "a.hspy")
    source = {"method": "spectral", "elements": list(OVERLAPS[case])}
    data = load(parse(DataOptions, {"path": "a.hspy", "spectra": {"maps": source}}, "data"), tmp_path)
    maps, mixing = data.arrays["maps"], data.arrays["maps_mixing"]
    assert np.array_equal(maps, np.rint(maps))
    net, inverse = unmixed(maps, data.arrays["maps_background"], mixing), np.linalg.inv(mixing)
    for element, image, row in zip(data.elements, net, inverse, strict=True):
        _, amount, on_left = OVERLAPS[case][element]
        area, other = DISCS & (left == on_left), left != on_left
        variance = np.tensordot(row**2, maps, axes=1)
        assert image.sum() == pytest.approx(amount * area.sum(), abs=3.5 * np.sqrt(variance.sum()))
        assert abs(image[:, other].sum()) <= 0.05 * amount * area.sum() + 3.0 * np.sqrt(variance[:, other].sum())


def test_sets_are_nearly_as_good_as_whole_spectra() -> None:
    """Three shapes that overlap on a background: each set is held by one element, and no element is without."""
    energies = np.arange(60.0)
    shapes = np.stack([norm.pdf(energies, 20, 3), norm.pdf(energies, 26, 3), norm.pdf(energies, 24, 3)])
    shapes[0] += norm.pdf(energies, 50, 3)
    shapes /= shapes.sum(axis=1, keepdims=True)
    amounts = np.array([2e4, 1e4, 3e3])
    owners = sets_of(shapes, amounts, amounts @ shapes + 50.0)
    assert set(owners) >= {0, 1, 2}
    members = np.stack([owners == index for index in range(3)])
    noise = amounts @ shapes + 50.0

    def errors(mixing: np.ndarray, variance: np.ndarray) -> np.ndarray:
        return np.sqrt(np.diagonal(np.linalg.inv((mixing / variance[:, None]).T @ mixing)))

    assert np.all(errors(members @ shapes.T, members @ noise) < 1.25 * errors(shapes.T, noise))


def test_an_element_that_the_spectra_do_not_show_is_not_detected(tmp_path: Path) -> None:
    counts = np.random.default_rng(4).poisson(3.0 * shape(FAMILIES["O"]), (12, 12, ENERGIES.size))
    made = spectrum_signal(data=counts.astype(np.uint16), elements=("O", "Pd"), scale=WIDTH)
    written_by("rsciio.hspy", lambda: made)(tmp_path / "a.hspy")
    options = parse(DataOptions, {"path": "a.hspy", "spectra": {"maps": {"method": "spectral"}}}, "data")
    with pytest.warns(FusionkitWarning, match=r"Pd is not detected: .* of its L lines, and the limit is"):
        load(options, tmp_path)


def test_lines_of_elements_that_nobody_named_are_fitted(tmp_path: Path) -> None:
    """Cu of the grid: its L lines do not become background of Na or counts of it."""
    copper = [(8.0478, 1.0), (8.9053, 0.13)]
    energies = WIDTH * np.arange(1000)
    sigma = np.sqrt(2.5 * (8047 - 5898.75) + 130.0**2) / 2355
    spectrum = sum(w * norm.pdf(energies, e, sigma) * WIDTH for e, w in copper)
    low = np.pad(shape(FAMILIES["O"]) * 5 + shape([(0.9297, 1.0)]) * 4, (0, 400))
    counts = np.random.default_rng(4).poisson(np.broadcast_to(10 * spectrum + low + 1e-3, (12, 12, 1000)))
    made = spectrum_signal(data=counts.astype(np.uint16), elements=("O",), scale=WIDTH)
    written_by("rsciio.hspy", lambda: made)(tmp_path / "a.hspy")
    data = load(parse(DataOptions, {"path": "a.hspy", "spectra": {"maps": {"method": "spectral"}}}, "data"), tmp_path)
    assert "Lines of Cu, which nobody named, are fitted too" in data.notes[0]
    (sums,) = spectra_in("maps", data.arrays["maps_spectrum"], ("O",))
    assert {round(float(sums.energies[at]), 1): name for at, name in sums.unnamed.items()} == {0.9: "Cu", 8.0: "Cu"}
    assert {text.get_text() for text in spectrum_figure([sums]).axes[0].texts} == {"O", "Cu"}


@pytest.mark.parametrize("split", [0, 12])
def test_a_fit_that_does_not_follow_the_spectra_is_said(tmp_path: Path, split: int) -> None:
    """The model does not fit a detector that shows every line twice."""
    once = sum(shape(FAMILIES[name]) for name in ("O", "Ti", "Ti L"))
    lines = (np.roll(once, split) + np.roll(once, -split)) / 2
    mean = np.broadcast_to(20.0 * np.asarray(lines), (12, 12, ENERGIES.size))
    made = spectrum_signal(data=np.random.default_rng(2).poisson(mean), elements=("O", "Ti"), scale=WIDTH)
    written_by("rsciio.hspy", lambda: made)(tmp_path / "a.hspy")
    options = parse(DataOptions, {"path": "a.hspy", "spectra": {"maps": {"method": "fit"}}}, "data")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        load(options, tmp_path)
    messages = [str(one.message) for one in found if "does not follow its spectra" in str(one.message)]
    assert bool(messages) == (split > 0)
    assert all(re.search(r"above the fit at [\d., ]*\b0\.42\b", one) for one in messages), messages  # O, 0.525 keV
