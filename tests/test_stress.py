"""Numbers under stress: whatever the values are, there is a result, a refusal or the verdict ``unusable``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusionkit as fk
from fusionkit.terms import Array

ELEMENTS = ("Co", "O")
TERMS = [
    {"type": "haadf", "weight": 1e-3},
    {"type": "poisson", "epsilon": 0.1},
    {"type": "tv", "weight": 0.3},
    {"type": "nonnegative"},
]
Data = tuple[Array, dict[str, Array]]


def recording() -> Data:
    random = np.random.default_rng(3)
    density = np.zeros((24, 20))
    density[6:18, 5:15] = 9.0
    maps = {name: random.poisson(density + 0.5).astype(float) for name in ELEMENTS}
    return (2.0 * density) ** 1.7 + random.normal(0.0, 30.0, density.shape) + 60.0, maps


def scaled(image: float, maps: float) -> Callable[[Data], Data]:
    return lambda data: (data[0] * image, {name: one * maps for name, one in data[1].items()})


def with_pixel(of: str, value: Any) -> Callable[[Data], Data]:
    def change(data: Data) -> Data:
        {"image": data[0], "map": data[1]["Co"]}[of][9, 9] = value
        return data

    return change


def everywhere(value: Any, of: str = "both") -> Callable[[Data], Data]:
    def change(data: Data) -> Data:
        image = np.full(data[0].shape, value) if of != "maps" else data[0]
        return image, {name: np.full(one.shape, value) for name, one in data[1].items()} if of != "image" else data[1]

    return change


def laid_out(lay: Callable[[Array], Array]) -> Callable[[Data], Data]:
    return lambda data: (lay(data[0]), {name: lay(one) for name, one in data[1].items()})


CASES: dict[str, Callable[[Data], Data]] = {
    **{f"image x {s:g}": scaled(s, 1.0) for s in (1e-310, 1e-30, 1e30, 1e300)},
    **{f"maps x {s:g}": scaled(1.0, s) for s in (1e-310, 1e-30, 1e30, 1e300)},
    **{f"both x {s:g}": scaled(s, s) for s in (0.0, 1e-30, 1e30)},
    "offset": lambda data: (data[0] + 1e12, data[1]),
    **{f"image {value}": with_pixel("image", value) for value in (np.nan, np.inf, 1e30, -1e6, 1e5)},
    **{f"map {value}": with_pixel("map", value) for value in (np.nan, -np.inf, 1e30, -1.0, 1e5)},
    "image constant": everywhere(7.0, "image"),
    "largest integers": everywhere(np.iinfo(np.int64).max),
    "least integers": everywhere(np.iinfo(np.int64).min, "maps"),
    "unsigned": everywhere(np.iinfo(np.uint64).max, "image"),
}
SAME = {
    "big endian": laid_out(lambda one: one.astype(">f8")),
    "read-only": laid_out(lambda one: np.broadcast_to(one[None], (1, *one.shape))[0]),
    "strided": laid_out(lambda one: np.repeat(np.repeat(one, 2, 0), 3, 1)[::2, ::3]),
    "Fortran": laid_out(np.asfortranarray),
    "flipped twice": laid_out(lambda one: np.ascontiguousarray(one[::-1, ::-1])[::-1, ::-1]),
}


def fused(data: Data, terms: Any = TERMS) -> fk.Fused:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fk.fuse(*data, terms=terms, engine="numpy", progress=False)


@pytest.mark.parametrize("case", CASES)
def test_a_result_a_refusal_or_unusable(case: str) -> None:
    try:
        result = fused(CASES[case](recording()))
    except fk.UserError:
        return
    x = np.stack(list(result.maps.values()))
    sound = np.isfinite(x).all() and (x >= 0.0).all() and x.any()
    assert sound or (result.verdict is not None and result.verdict.level == "unusable")


@pytest.mark.parametrize("weights", [(0.0, 1.0, 0.3), (1e12, 1.0, 0.3), (1e-12, 1.0, 1e12), (1.0, 1e12, 1e-12)])
def test_extreme_weights(weights: tuple[float, ...]) -> None:
    terms = [{**term, "weight": weight} for term, weight in zip(TERMS, weights, strict=False)]
    result = fused(recording(), [*terms, TERMS[3]])
    x = np.stack(list(result.maps.values()))
    assert np.isfinite(x).all()
    assert (x >= 0.0).all()


@pytest.mark.parametrize("case", SAME)
def test_the_layout_of_an_array_does_not_matter(case: str) -> None:
    plain, other = fused(recording()), fused(SAME[case](recording()))
    for name, one in plain.maps.items():
        np.testing.assert_array_equal(one, other.maps[name])


@pytest.mark.parametrize(("of", "name"), [("image", "the HAADF image"), ("map", "the map of Co")])
def test_a_hot_pixel_is_named(of: str, name: str) -> None:
    data = recording()
    assert not any("stands out" in note for note in fused(data).notes)
    notes = fused(with_pixel(of, np.rint(20.0 * data[0].max()))(data)).notes
    assert [note for note in notes if f"A pixel of {name} stands out from all around, the first at (9, 9)" in note]


@pytest.mark.parametrize("scale", [1e-310, 1e300])
def test_maps_come_back_in_their_unit(scale: float) -> None:
    image, maps = recording()
    plain = fk.fuse(image, maps, tv=0.3, engine="numpy", progress=False)
    other = fk.fuse(*scaled(1.0, scale)((image, maps)), tv=0.3, weight="auto", engine="numpy", progress=False)
    for name, one in plain.maps.items():
        np.testing.assert_allclose(other.maps[name] / scale, one, rtol=0.02, atol=0.02 * one.max())


def test_a_kernel_without_jit_is_not_announced(caplog: pytest.LogCaptureFixture) -> None:
    """With NUMBA_DISABLE_JIT kernels are plain functions."""
    from fusionkit.engines.cpu.compile import announce_compilation

    announce_compilation(lambda x: x, np.float32)
    assert not caplog.records
