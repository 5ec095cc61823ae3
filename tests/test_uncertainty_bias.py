"""Data and bias in error bars: background, the image's own noise, factors from the counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fusionkit.compose_problem import compose
from fusionkit.data.dataset import Dataset
from fusionkit.operators.fidelity import PixelwiseFidelity
from fusionkit.reconstruct import prepare
from fusionkit.uncertainty import error_scale
from fusionkit.uncertainty.bootstrap import Sample, data_model, moments
from fusionkit.uncertainty.error_scale import USUAL
from fusionkit.uncertainty.residuals import data_mean


@pytest.mark.parametrize(("background", "expected"), [(0.0, 0.0), (0.5, 0.5), (3.0, 1.0)])
def test_background_is_what_empty_pixels_hold_up_to_epsilon(background: float, expected: float) -> None:
    x = np.zeros((1, 64, 64))
    x[:, :20] = 9.0
    maps = np.random.default_rng(0).poisson(x + background).astype(float)
    problem = compose(Dataset({"maps": maps}, ("Co",)), [{"type": "poisson", "epsilon": 1.0}], precision="double")
    (term,) = problem.terms
    assert isinstance(term, PixelwiseFidelity)
    np.testing.assert_allclose(data_mean(term, x), x + expected, atol=0.06)  # four standard errors


@pytest.mark.parametrize("factor", [1.0, 0.1])
def test_an_image_is_drawn_with_its_own_noise_whatever_its_weight(factor: float) -> None:
    job = prepare("cos_nanoparticle", ("data.phantom.size=64", f"terms.haadf.weight={factor * 1.148e-3}"))
    model = data_model(job.problem, job.solve().x)
    index = [term.target for term in model.terms].index("haadf")
    drawn = model.draw(job.dataset, np.random.default_rng(0)).arrays["haadf"]
    sigma = job.dataset.haadf_sigma
    assert sigma is not None
    assert np.std(drawn - model.expected[index]) == pytest.approx(sigma, rel=0.1)  # its estimate is off by 2 %


@pytest.mark.parametrize(
    ("excess", "seen", "scatter", "expected"),
    [
        (0.0, 2.0, 1e-3, 1.0),  # the recording has the bias of the samples
        (4.0, 2.0, 1e-3, 3.0),  # e + 4 = 3 e
        (-9.0, 2.0, 1e-3, 0.25),  # no less than a quarter
        (4.0, 2.0, 1e9, USUAL),  # counts without information
        (4.0, 0.0, 1e-3, USUAL),  # no bias to be scaled
        (4.0, -1.0, 1e-3, USUAL),
        (4.0, 2.0, 2.0, 0.5 * (USUAL + 3.0)),  # a standard error of 1
    ],
)
def test_factor_of_the_bias(excess: float, seen: float, scatter: float, expected: float) -> None:
    mean = np.array([50.0])
    found = error_scale.bias_factors(mean + excess, (mean, np.array([scatter**2])), np.array([seen]))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_moments_find_the_bias_and_no_more_of_it_than_there_is() -> None:
    """30 samples with bias 0.3 and scatter 1: the variance of their mean is subtracted from the squared bias."""
    random, shape = np.random.default_rng(3), (2, 64, 64)
    bias = np.array([0.3, 0.0])[:, None, None]
    draws = [gaussian_filter(random.standard_normal(shape), (0, 2, 2)) * 7.0 for _ in range(30)]
    ones = np.ones(shape)
    counts = error_scale.CountResiduals(np.zeros(shape), ones, np.array([1e4, 1e4]) + 2 * 0.3**2 * 64**2)
    noise = [1e4 + random.standard_normal(2) for _ in draws]
    samples = [Sample(bias + draw, squared) for draw, squared in zip(draws, noise, strict=True)]
    found = moments(samples, np.zeros(shape), counts)
    assert found.factors[0] == pytest.approx(3.0, rel=0.2)  # 1 + 2 e / e, e known to a few per cent
    np.testing.assert_allclose(found.variance.mean(), 1.0, atol=0.12)
    np.testing.assert_allclose(moments(samples, np.zeros(shape)).factors, USUAL)


@pytest.mark.parametrize("ratio", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_factor_of_the_error(ratio: float, weight: float) -> None:
    """Maps independent of the counts' noise, with a smooth error of ``ratio`` times the variance: 1 + ratio."""
    random = np.random.default_rng(7)
    truth = np.full((1, 128, 128), 20.0)
    error = gaussian_filter(random.standard_normal(truth.shape), (0, 6, 6))
    error *= (ratio / np.mean(error**2)) ** 0.5
    data = Dataset({"maps": random.poisson(weight * truth) / weight}, ("Co",))
    (term,) = compose(data, [{"type": "poisson", "weight": weight, "epsilon": 1e-6}], precision="double").terms
    assert isinstance(term, PixelwiseFidelity)
    found = error_scale.variance_factors(term, truth + error, np.ones(truth.shape))
    np.testing.assert_allclose(found, 1.0 + ratio, atol=0.15 * (1.0 + ratio))
