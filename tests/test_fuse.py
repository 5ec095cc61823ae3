"""`fusionkit.fuse`: arrays, HyperSpy signals and files give the same maps, returned in the same type."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuse_data import FAST, HAADF, MAPS, NAMES, SHAPE, STACK, hyperspy, signal
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

import fusionkit as fk
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.errors import UserError
from fusionkit.options import parse


@pytest.fixture(scope="module")
def expected() -> fk.Fused:
    return fk.fuse(HAADF, MAPS, **FAST)


def test_arrays_give_arrays(expected: fk.Fused) -> None:
    assert list(expected.maps) == list(NAMES)
    assert all(type(one) is np.ndarray and one.shape == SHAPE for one in expected.maps.values())
    np.testing.assert_array_equal(expected.stack, expected.result.x)
    assert expected.result.certificate.optimality == expected.result.optimality < 0.1
    assert len(expected.result.trace["objective"]) > 1


def in_file(folder: Path, suffix: str) -> Path:
    if suffix == ".npz":
        np.savez(folder / "data.npz", HAADF=HAADF, **MAPS)
    else:
        import h5py

        with h5py.File(folder / "data.h5", "w") as file:
            for name, image in {"HAADF": HAADF, **MAPS}.items():
                file[f"recording/{name}"] = image
    return folder / f"data{suffix}"


def in_own(folder: Path, element: str) -> Path:
    np.savez(folder / f"{element}.npz", **{f"{element} Ka1": MAPS[element]})
    return folder / f"{element}.npz"


def in_dask(values: np.ndarray) -> Any:
    return pytest.importorskip("dask.array", reason="dask is not installed").from_array(values, chunks=16)


WAYS: dict[str, Callable[[Path], tuple[Any, Any, dict[str, Any]]]] = {
    "stack": lambda _: (HAADF, STACK, {"elements": NAMES}),
    "list of arrays": lambda _: (HAADF, [*MAPS.values()], {"elements": [*NAMES]}),
    "nested lists": lambda _: (HAADF.tolist(), {e: m.tolist() for e, m in MAPS.items()}, {}),
    "integers": lambda _: (HAADF, {e: m.astype(np.uint16) for e, m in MAPS.items()}, {}),
    "npz": lambda folder: (in_file(folder, ".npz"), in_file(folder, ".npz"), {"elements": NAMES}),
    "hdf5, as text": lambda folder: (str(in_file(folder, ".h5")), str(in_file(folder, ".h5")), {"elements": NAMES}),
    "a path each": lambda folder: (HAADF, {e: in_file(folder, ".npz") for e in NAMES}, {}),
    "files that say theirs": lambda folder: (HAADF, [in_own(folder, e) for e in NAMES], {}),
    "files in another order": lambda folder: (HAADF, [in_own(folder, e) for e in NAMES[::-1]], {"elements": NAMES}),
    "nothing masked": lambda _: (np.ma.masked_less(HAADF, -1e9), np.ma.masked_less(STACK, -1), {"elements": NAMES}),
    "dask": lambda _: (in_dask(HAADF), in_dask(STACK), {"elements": NAMES}),
    "dask, one each": lambda _: (HAADF, {e: in_dask(m) for e, m in MAPS.items()}, {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_maps(way: str, expected: fk.Fused, tmp_path: Path) -> None:
    haadf, maps, more = WAYS[way](tmp_path)
    fused = fk.fuse(haadf, maps, **more, **FAST)
    assert list(fused.maps) == list(NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(fused.maps[name], expected.maps[name])


SIGNALS: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "dict": lambda: ({e: signal(m) for e, m in MAPS.items()}, {}),
    "list by title": lambda: ([signal(m, e) for e, m in MAPS.items()], {}),
    "list in another order": lambda: ([signal(MAPS[e], e) for e in NAMES[::-1]], {"elements": NAMES}),
    "list by elements": lambda: ([signal(m, "counts", Sample={"elements": [e]}) for e, m in MAPS.items()], {}),
    "list by lines": lambda: ([signal(m, "line", Sample={"xray_lines": [f"{e}_Ka"]}) for e, m in MAPS.items()], {}),
    "list by option": lambda: ([signal(m, "?") for m in MAPS.values()], {"elements": NAMES}),
    "stack": lambda: (signal(STACK, "counts", Sample={"elements": [*NAMES]}), {}),
    "stack by option": lambda: (signal(STACK, "counts"), {"elements": NAMES}),
    "lazy": lambda: ({e: signal(m, e).as_lazy() for e, m in MAPS.items()}, {}),
    "lazy stack": lambda: (signal(STACK, "counts").as_lazy(), {"elements": NAMES}),
    "transposed": lambda: ({e: signal(m, e).transpose(signal_axes=0) for e, m in MAPS.items()}, {}),
}


@pytest.mark.parametrize("way", SIGNALS)
def test_signals_give_signals_with_their_axes_and_metadata(way: str, expected: fk.Fused) -> None:
    hyperspy()
    maps, more = SIGNALS[way]()
    before = maps.data.copy() if hasattr(maps, "data") else None
    fused = fk.fuse(signal(HAADF, "HAADF"), maps, **more, **FAST)
    assert list(fused.maps) == list(NAMES)
    for name, one in fused.maps.items():
        np.testing.assert_array_equal(one.data, expected.maps[name])
        assert not one._lazy
        assert one.axes_manager["x"].scale == 0.4
        assert (one.axes_manager["x"].offset, one.axes_manager["y"].offset) == (3.0, 5.0)
        assert one.axes_manager["y"].units == "nm"
        assert one.metadata.Acquisition_instrument.TEM.beam_energy == 200.0
        assert one.original_metadata.vendor.serial == 7
        assert one.metadata.fusionkit.status == str(fused.result.status)
        assert (one.metadata.General.title, one.metadata.Sample.elements) == (name, [name])
    assert (fused.given.pixel_size, fused.given.units) == (pytest.approx(0.4), "nm")
    assert fused.given.metadata["beam_energy_keV"] == 200.0
    if "stack" in way:
        np.testing.assert_array_equal(fused.stack.data, expected.stack)
        assert fused.stack.metadata.General.title == "counts"
        np.testing.assert_array_equal(np.asarray(maps.data), np.asarray(before))  # the inputs are unchanged
    else:
        assert type(fused.stack) is np.ndarray


def test_maps_of_several_kinds_give_arrays(expected: fk.Fused, tmp_path: Path) -> None:
    hyperspy()
    co, s, o = NAMES
    kinds = [signal(MAPS[co], co), MAPS[s], in_own(tmp_path, o)]
    for maps, more in ((kinds, {"elements": NAMES}), (dict(zip(NAMES, kinds, strict=True)), {})):
        fused = fk.fuse(HAADF, maps, **more, **FAST)
        assert fused.given.pixel_size == pytest.approx(0.4)
        for name in NAMES:
            assert type(fused.maps[name]) is np.ndarray
            np.testing.assert_array_equal(fused.maps[name], expected.maps[name])


def test_an_order_that_is_guessed_is_said() -> None:
    hyperspy()
    maps, _ = SIGNALS["stack"]()
    assert any("order of metadata.Sample.elements" in note for note in fk.fuse(HAADF, maps, **FAST).notes)


def test_a_signal_without_calibration_has_no_pixel_size() -> None:
    hs = hyperspy()
    plain = {e: hs.signals.Signal2D(m.copy()) for e, m in MAPS.items()}
    assert fk.fuse(HAADF, plain, **FAST).given.pixel_size is None


def test_one_element() -> None:
    hyperspy()
    fused = fk.fuse(HAADF, signal(MAPS["Co"], "Co"), **FAST)
    assert list(fused.maps) == ["Co"]
    assert fused.maps["Co"].axes_manager["x"].scale == 0.4
    fused = fk.fuse(HAADF, MAPS["Co"], elements=["Co"], **FAST)
    assert fused.maps["Co"].shape == SHAPE


def test_fusing_lowers_the_error() -> None:
    """With only the data, in any units of the image."""
    data = load(parse(DataOptions, {"phantom": {"preset": "cos_nanoparticle", "size": 64}}, "data"), Path())
    raw, truth = data.arrays["maps"], np.asarray(data.truth)
    fused = fk.fuse(40 + 3e4 * data.arrays["haadf"], raw, elements=NAMES)
    assert fused.result.status == "converged"
    for name, before, after, true in zip(NAMES, raw, fused.stack, truth, strict=True):
        assert np.linalg.norm(after - true) < 0.6 * np.linalg.norm(before - true), name
    notes = " ".join(fused.notes)
    assert all(f"weight of {term} is" in notes for term in ("haadf", "poisson", "joint_nonlocal", "tgv"))
    assert "haadf: gain = " in notes
    assert all(one in repr(fused) for one in ("Co, S, O", "64 x 64", "converged", notes[:40]))


@pytest.mark.parametrize("dose", [5, 20])
def test_detail_of_few_pixels_does_not_mislead_the_unit_of_the_image(dose: float) -> None:
    """Atomic columns: maps smoothed too much before the power distort the fit."""
    options = parse(DataOptions, {"phantom": {"preset": "lattice", "size": 80, "dose": dose}}, "data")
    data = load(options, Path(), "data")
    assert data.truth is not None
    raw = dict(zip(data.elements, data.arrays["maps"], strict=True))
    fused = fk.fuse(data.arrays["haadf"], raw)
    for name, true in zip(data.elements, data.truth, strict=True):
        error, before = (np.linalg.norm(one - true) for one in (fused.maps[name], raw[name]))
        assert error < 0.9 * before, name


def discs(seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Random numbers, counts and true maps of two elements."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    truth = {"Co": ((y - 16) ** 2 + (x - 16) ** 2 < 64) * 15.0 + 1.0, "O": (abs(x - 16) < 6) * 12.0 + 1.0}
    counts = {element: rng.poisson(one).astype(float) for element, one in truth.items()}
    return rng.standard_normal(x.shape), counts, truth


IMAGES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "bright field": lambda model, noise: 5.0 - 0.2 * model + 0.05 * noise,
    "noise": lambda model, noise: noise,
    "without noise": lambda model, noise: model**1.7,
    "on a large offset": lambda model, noise: model**1.7 + noise + 1e5,
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_an_image_that_does_not_help_costs_little(image: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    noise, counts, truth = discs()
    fused = fk.fuse(image(sum(truth.values(), np.zeros(noise.shape)), noise), counts)
    assert fused.result.status == "converged"
    for element, true in truth.items():
        assert np.linalg.norm(fused.maps[element] - true) < 0.7 * np.linalg.norm(counts[element] - true)
        total = counts[element].sum()
        assert fused.maps[element].sum() == pytest.approx(total, abs=0.02 * total + 2.0 * total**0.5)


def test_rates_are_counts_in_another_unit() -> None:
    noise, counts, truth = discs()
    image = sum((one**1.7 for one in truth.values()), np.zeros(noise.shape)) + 2.0 * noise
    whole, rates = fk.fuse(image, counts), fk.fuse(image, {e: one / 7.3 for e, one in counts.items()})
    for element in truth:
        np.testing.assert_allclose(7.3 * rates.maps[element].sum(), whole.maps[element].sum(), rtol=0.02)


def test_normalised_maps_come_back_in_their_units() -> None:
    """For example atomic per cent: the solver sees 0 to 1, the user the original units."""
    percent = {e: 5.0 + 40.0 * m / m.max() for e, m in MAPS.items()}
    fused = fk.fuse(HAADF, percent, normalize="minmax", **FAST)
    assert fused.result.x.max() < 2.0
    for name in NAMES:
        np.testing.assert_allclose(fused.maps[name].mean(), percent[name].mean(), rtol=0.2)
        np.testing.assert_allclose(fused.maps[name], 40.0 * fused.result.maps[name] + 5.0, rtol=1e-5)


def test_terms_and_solver_are_those_of_a_config() -> None:
    """The same data, terms and solver as in a config give the same maps, bit for bit."""
    terms = [
        {"type": "haadf", "weight": 1.148e-3, "gamma": 1.7},
        "poisson",
        {"type": "tv", "weight": 0.3},
        "nonnegative",
    ]
    options = {"type": "admm", "max_iterations": 20}
    fused = fk.fuse(HAADF, MAPS, terms=terms, solver=options)
    data = fk.Dataset({"haadf": HAADF, "maps": STACK}, NAMES)
    problem = fk.compose(data, terms, engine="numpy")
    solver = fk.make_solver("admm", max_iterations=20)
    np.testing.assert_array_equal(fused.result.x, fk.solve(problem, solver, fk.starting_point("auto", problem, data)).x)


KNOBS: list[tuple[dict[str, Any], Callable[[Mapping[str, Any]], Any], Any]] = [
    ({"gamma": 1.6}, lambda terms: terms["haadf"]["gamma"], 1.6),
    ({"z": "relative"}, lambda terms: terms["haadf"]["z"], "relative"),
    ({"z": {"Co": 3, "S": 2, "O": 1}}, lambda terms: terms["haadf"]["z"], {"Co": 3, "S": 2, "O": 1}),
    ({"tv": 0.7}, lambda terms: terms["tv"]["weight"], 0.7),
    ({}, lambda terms: terms["poisson"]["weight"], 1.0),
    (
        {"normalize": "minmax"},
        lambda terms: [terms[name]["weight"] for name in ("haadf", "poisson", "tv")],
        [1, 0.24, 0.1],
    ),
]


@pytest.mark.parametrize(("knobs", "found", "value"), KNOBS, ids=lambda one: str(one) if isinstance(one, dict) else "")
def test_knobs(knobs: dict[str, Any], found: Callable[[Mapping[str, Any]], Any], value: Any) -> None:
    fused = fk.fuse(HAADF, MAPS, **{**FAST, **knobs})
    terms = {term["type"]: term for term in fused.record.resolved_config["terms"]}
    assert found(terms) == value


@given(st.floats(1.4, 2.0), st.floats(0.01, 1e4), st.floats(-1e3, 1e3))
def test_the_unit_of_the_image_is_found(gamma: float, scale: float, offset: float) -> None:
    """If the image follows the maps exactly, offset and scale are recovered."""
    rng = np.random.default_rng(0)
    x = np.round(30 * np.kron(rng.random((2, 4, 4)), np.ones((8, 8)))) + 1
    z = {"Co": 1.2, "O": 0.6}
    model = ((np.array([*z.values()])[:, None, None] * x) ** gamma).sum(axis=0)
    one, other = (
        fk.fuse(image, x, elements=list(z), z=z, gamma=gamma, tv=1.0, solver={**FAST["solver"], "max_iterations": 1})
        for image in (model, offset + scale * model)
    )
    first, second = one.record.dataset.arrays["haadf"], other.record.dataset.arrays["haadf"]
    assert np.abs(first - second).max() < 2e-3 * np.ptp(first)


@pytest.mark.parametrize("suffix", [".hspy", ".zspy", ".tif"])
def test_save(suffix: str, tmp_path: Path, expected: fk.Fused) -> None:
    hs = hyperspy()
    path = tmp_path / f"fused{suffix}"
    expected.save(path)
    with pytest.raises(fk.UserError, match="exists already"):
        expected.save(path)
    expected.save(str(path), overwrite=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = hs.load(str(path))
    if suffix == ".tif":
        np.testing.assert_array_equal(loaded.data, expected.stack)
        return
    assert [one.metadata.General.title for one in loaded] == [*NAMES, "HAADF"]
    np.testing.assert_array_equal(loaded[0].data, expected.maps["Co"])
    np.testing.assert_array_equal(loaded[3].data, HAADF)
    again = fk.fuse(path, path, **FAST)  # an exported file is a recording
    assert list(again.maps) == list(NAMES)


def test_figure(expected: fk.Fused) -> None:
    axes = [one.get_title() for one in expected.figure().axes]
    assert {"HAADF", "HAADF model", "Co raw", "Co fused"} <= set(axes)


def test_hyperspy_is_not_imported_for_arrays() -> None:
    """``import fusionkit`` imports nothing heavy either."""
    code = (
        "import sys, fusionkit as fk; assert 'numpy' not in sys.modules\n"
        "import numpy as np; r = np.random.default_rng(0); m = r.poisson(5, (2, 9, 8)).astype(float)\n"
        "fk.fuse(m.sum(0) ** 1.7, m, elements=['Co', 'O'])\n"
        "assert not {'hyperspy', 'rsciio', 'matplotlib', 'numba', 'dask'} & set(sys.modules), 'imported'"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_spectrum_images_are_fused_in_sets_of_channels() -> None:
    """S and Mo, whose lines overlap, side by side; the maps are signals like the image of the spectra."""
    hs = hyperspy()
    table = pytest.importorskip(
        "exspy.material", reason="eXSpy is not installed: pip install 'fusionkit-em[io]'"
    ).elements
    energies, left = 0.02 * np.arange(900), np.arange(12) < 6

    def spectrum(element: str) -> np.ndarray:
        known = table[element].Atomic_properties.Xray_lines.as_dictionary().values()
        lines = [(one["energy (keV)"], one["weight"]) for one in known if one["energy (keV)"] > 0.3]
        widths = [np.sqrt(2.5e-3 * (energy - 5.8987) + 0.13**2) / 2.355 for energy, _ in lines]
        shape = sum(w * norm.pdf(energies, e, width) for (e, w), width in zip(lines, widths, strict=True))
        return np.asarray(shape / np.sum(shape))

    sulphur, molybdenum = spectrum("S"), spectrum("Mo")
    mean = 400.0 * (left[:, None] * sulphur + ~left[:, None] * molybdenum) + 1e-3
    cube = hs.signals.Signal1D(np.random.default_rng(2).poisson(np.broadcast_to(mean, (12, 12, 900))))
    cube.set_signal_type("EDS_TEM")
    cube.axes_manager[-1].scale, cube.axes_manager[-1].units = 0.02, "keV"
    cube.metadata.set_item("Acquisition_instrument.TEM.beam_energy", 200.0)
    cube.metadata.set_item("Acquisition_instrument.TEM.Detector.EDS.energy_resolution_MnKa", 130.0)
    image = np.where(left, 1.0, 5.0) + np.random.default_rng(3).normal(0.0, 0.02, (12, 12))
    terms = [{"type": "poisson", "epsilon": "auto", "forward": "spectral"}, {"type": "tv", "weight": 0.1}]
    fused = fk.fuse(image, cube, elements=["S", "Mo"], terms=[*terms, "nonnegative"])
    assert fused.maps["Mo"].data.shape == (12, 12)
    for element, own in (("S", left), ("Mo", ~left)):
        assert fused.arrays[element][:, own].sum() == pytest.approx(400.0 * 72, rel=0.05)
        assert fused.arrays[element][:, ~own].sum() < 0.05 * fused.arrays[element].sum()
    with pytest.raises(UserError, match=r"terms\[1\].forward: every element contributes to every map of 'maps'"):
        fk.fuse(image, cube, elements=["S", "Mo"], terms=["haadf", "poisson"])


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_scan_of_one_row_or_column(engine: Any) -> None:
    """The same maps, along either axis."""
    truth = np.where(np.arange(40) > 12, 20.0, 2.0)[None]
    counts = {"Co": np.random.default_rng(0).poisson(truth).astype(float)}
    image = truth**1.7 + np.random.default_rng(1).normal(0.0, 2.0, truth.shape)
    terms = [
        {"type": "haadf", "gain": "auto", "offset": "auto", "weight": 0.01},
        "poisson",
        {"type": "tv", "weight": 0.3},
    ]
    row = fk.fuse(image, counts, terms=[*terms, "nonnegative"], engine=engine)
    column = fk.fuse(image.T, {"Co": counts["Co"].T}, terms=[*terms, "nonnegative"], engine=engine)
    np.testing.assert_allclose(column.arrays["Co"].T, row.arrays["Co"], rtol=1e-3)
    assert np.linalg.norm(row.arrays["Co"] - truth) < 0.4 * np.linalg.norm(counts["Co"] - truth)
