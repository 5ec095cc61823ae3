"""Slopes of a guide image and their noise, and the guided penalties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit.build import Context
from fusionkit.data.dataset import Dataset
from fusionkit.operators.linear.guide import Guide, guide_of
from fusionkit.operators.linear.guided_gradient import directional_field
from fusionkit.operators.penalty.guided_tv import tensor_field
from fusionkit.options import Spec
from fusionkit.reconstruct import prepare
from fusionkit.report.metrics import nrmse
from fusionkit.terms import Array, Composed

GUIDED = ["directional_tv", "structure_tensor_tv"]


def disc(size: int = 64) -> Array:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return 1.0 / (1.0 + np.exp(2.0 * (np.hypot(y, x) - size / 3)))


def noisy(image: Array, sigma: float, seed: int = 0) -> Array:
    return image + sigma * np.random.default_rng(seed).standard_normal(image.shape)


def build(kind: str, guide: Array, shape: tuple[int, ...], **options: Any) -> Composed:
    context = Context(Dataset({"haadf": guide}), shape, ("a", "b"), np.dtype(np.float64))
    return context.build("terms", Spec.model_validate({"type": kind, **options}), "terms[0]")


@pytest.mark.parametrize("sigma", [0.02, 0.3])
def test_noise_of_slopes_is_that_of_noise_alone(sigma: float) -> None:
    """The stated noise against the slopes of smoothed noise."""
    guide = guide_of(noisy(disc(128), sigma))
    alone = guide_of(noisy(np.zeros((128, 128)), sigma, seed=1), smoothing=guide.smoothing)
    assert guide.noise == pytest.approx(np.sqrt((alone.slopes**2).sum(axis=0).mean()), rel=0.1)


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5])
def test_smoothing_is_near_the_best(sigma: float) -> None:
    """Stein's estimate against the true error."""
    clean = guide_of(disc(), smoothing=0.0).slopes

    def error(smoothing: float | None) -> float:
        return float(np.sum((guide_of(noisy(disc(), sigma), smoothing).slopes - clean) ** 2))

    assert error(None) <= 1.05 * min(error(s) for s in np.linspace(0.0, 8.0, 81))


def test_a_guide_without_noise_is_believed_to_the_last_digit() -> None:
    guide = guide_of(np.round(disc()))
    assert guide.smoothing == 0.0
    length = np.linalg.norm(directional_field(guide), axis=0)
    assert set(np.round(length[:-1, :-1].ravel(), 6)) == {0.0, 1.0}


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3), offset=st.floats(-10, 10), sign=st.sampled_from([-1, 1]))
def test_fields_are_within_the_unit_disc_and_know_no_units(seed: int, scale: float, offset: float, sign: int) -> None:
    image = noisy(disc(24), 0.1, seed)
    for field in (directional_field, lambda guide: tensor_field(guide, 2.0)):
        xi = field(guide_of(image))
        assert np.linalg.norm(xi, axis=0).max() <= 1.0
        other = field(guide_of(sign * scale * image + offset))
        # compare xi xi': the direction across an edge has no sign
        np.testing.assert_allclose(other[0] * other[1], xi[0] * xi[1], atol=1e-3)
        np.testing.assert_allclose(other**2, xi**2, atol=1e-3)


@pytest.mark.parametrize("kind", GUIDED)
@pytest.mark.parametrize("coupling", ["joint", "none"])
def test_a_flat_guide_leaves_tv(kind: str, coupling: str) -> None:
    x = np.random.default_rng(0).random((2, 9, 8))
    plain = build("vectorial_tv" if coupling == "joint" else "tv", np.ones((9, 8)), x.shape)
    assert build(kind, np.ones((9, 8)), x.shape, coupling=coupling).value(x) == pytest.approx(plain.value(x), rel=1e-9)


@pytest.mark.parametrize(("kind", "most", "least"), [("directional_tv", 0.03, 0.8), ("structure_tensor_tv", 0.2, 0.4)])
def test_maps_that_follow_the_guide_are_cheap_and_others_are_not(kind: str, most: float, least: float) -> None:
    image = noisy(disc(), 1e-3)
    with_it, across = np.stack([disc(), 2.0 - 3.0 * disc()]), np.stack([np.roll(disc(), 9, 0), np.roll(disc(), 16, 1)])
    term, tv = build(kind, image, with_it.shape), build("vectorial_tv", image, with_it.shape)
    assert term.value(with_it) <= most * tv.value(with_it)
    assert term.value(across) >= least * tv.value(across)


def test_directional_tv_is_the_limit_of_a_small_window() -> None:
    guide = Guide(np.random.default_rng(0).standard_normal((2, 9, 8)), 0.4, 0.0)
    small, xi = tensor_field(guide, 1e-3), directional_field(guide)
    np.testing.assert_allclose(small[0] * small[1], xi[0] * xi[1], atol=1e-9)
    np.testing.assert_allclose(small**2, xi**2, atol=1e-9)


@pytest.mark.parametrize("kind", GUIDED)
def test_the_weight_is_chosen_from_the_data_and_maps_are_nearer_to_the_truth(kind: str) -> None:
    """Compared with TV, whose weight is chosen in the same way."""
    small = ("data.phantom.size=64", "data.phantom.dose=20.0", "solver.tolerance=1e-3")
    found = {}
    for name in ("tv", kind):
        job = prepare("cos_nanoparticle", (*small, f"terms.2={{type: {name}, weight: auto}}"))
        truth = job.dataset.truth
        assert truth is not None
        found[name] = nrmse(job.solve().x, truth)
    assert found[kind] <= 0.9 * found["tv"]
