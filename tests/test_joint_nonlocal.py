"""The joint non-local penalty: groups against NumPy, threads, properties as a term, accuracy, refusals."""

from __future__ import annotations

import copy
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

from fusionkit.arrays import Array
from fusionkit.build import Context
from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.engines.cpu.patch_groups import Grouping
from fusionkit.engines.cpu.patch_levels import mean_levels
from fusionkit.engines.cpu.patches import low_rank, wiener
from fusionkit.errors import UserError
from fusionkit.loop import solve
from fusionkit.machine import limit_threads
from fusionkit.operators.penalty.guide_alignment import aligned
from fusionkit.operators.penalty.joint_nonlocal import JointNonlocal
from fusionkit.operators.penalty.patch_consensus import consensus
from fusionkit.options import Spec
from fusionkit.start import start_from_data
from fusionkit.weights.shares import share_of_start

HOW = Grouping(patch=3, similar=12, search=4, stride=2)


def stripes(size: int = 40, dose: float = 8.0, seed: int = 0) -> tuple[Array, Array, Array]:
    """Image, counts and true maps of two elements that alternate, with an edge across."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    wave = 0.5 + 0.5 * np.sin(x / 2.5)
    truth = dose * np.stack([wave * (y < size // 2) + 0.2, 1.2 - wave])
    image = np.tensordot([2.0, 1.0], truth, axes=1) + 0.3 * rng.standard_normal((size, size))
    return image, rng.poisson(truth).astype(float), truth


def term(counts: Array, image: Array | None = None, dtype: Any = np.float64, **options: Any) -> JointNonlocal:
    arrays = {"maps": counts} | ({} if image is None else {"haadf": image})
    context = Context(Dataset(arrays, ("a", "b")), counts.shape, ("a", "b"), np.dtype(dtype))
    spec = {
        "type": "joint_nonlocal",
        "guide": None if image is None else "haadf",
        "similar": 40,
        "search": 12,
        **options,
    }
    return context.build("terms", Spec.model_validate(spec), "terms[0]")


def turned(patch: Array, turn: int, back: bool = False) -> Array:
    """A patch in one of the 8 orientations of a square, or back from it."""
    quarter, mirrored = turn % 4, turn >= 4
    if back:
        patch = np.rot90(patch, -quarter, (1, 2))
    patch = patch[..., ::-1] if mirrored else patch
    return patch if back else np.rot90(patch, quarter, (1, 2))


def slow(kind: str, data: Array, noise: Array, pilot: Array | None, guide: Array | None, features: Array) -> Array:
    """The kernels' algorithms, patch by patch in NumPy."""
    n, ny, nx = data.shape
    total, cover, side = np.zeros_like(data), np.zeros((ny, nx)), HOW.patch

    def patches(stack: Array, places: list[tuple[int, int, int]]) -> Array:  # channels innermost, as in the kernels
        corners = [(stack[:, a : a + side, b : b + side], turn) for a, b, turn in places]
        return np.array([np.moveaxis(turned(one, turn), 0, -1).ravel() for one, turn in corners])

    rows = sorted({*range(0, ny - side + 1, HOW.stride), ny - side})
    columns = sorted({*range(0, nx - side + 1, HOW.stride), nx - side})
    for i, j in [(i, j) for i in rows for j in columns]:
        near = [
            (a, b, turn)
            for a in range(max(0, i - HOW.search), min(ny - side, i + HOW.search) + 1)
            for b in range(max(0, j - HOW.search), min(nx - side, j + HOW.search) + 1)
            for turn in range(HOW.turns)
        ]
        far = ((patches(features, near) - patches(features, [(i, j, 0)])) ** 2).sum(axis=1).reshape(-1, HOW.turns)
        order = np.argsort(far.min(axis=1))[: HOW.similar]
        places = [near[HOW.turns * k + int(np.argmin(far[k]))] for k in order]
        level = patches(noise, places).mean(axis=0)
        spread = np.sqrt(
            np.maximum(0.75 * level + 0.25 * np.tile(level.reshape(-1, n).mean(axis=0), side * side), 0.05)
        )
        values = patches(data, places)
        seen, mean, weight = ~np.isnan(values), np.nan_to_num(values).sum(axis=0), 1.0
        mean = mean / np.maximum(seen.sum(axis=0), 1)
        if pilot is not None:
            few = (2 * seen.sum(axis=0) <= len(places)) & ~seen.all(axis=0)
            mean = np.where(few, patches(pilot, places).mean(axis=0), mean)
        white = (values - mean) / spread
        if kind == "mean levels":
            number = np.maximum(seen.reshape(-1, n).sum(axis=0), 1)
            means = np.nansum(values.reshape(-1, n), axis=0) / number
            noise_of_means = np.maximum(level.reshape(-1, n).mean(axis=0), 0.05) / number
            kept = np.maximum(1 - (2 * noise_of_means / np.where(means, means, np.nan) ** 2) ** 2, 0)
            kept = np.nan_to_num(kept)
            white, mean = np.zeros_like(white), np.tile(kept * means, side * side)
        elif pilot is None:
            u, s, v = np.linalg.svd(white, full_matrices=False)
            few, many = sorted(white.shape)
            square, beta = s**2 / many, few / many
            kept = square > (1 + beta**0.5) ** 2
            shrink = np.where(kept, np.sqrt(np.maximum((square - beta - 1) ** 2 - 4 * beta, 0)) / square, 0.0)
            white, weight = (u * (s * shrink)) @ v, 1.0 / (1 + kept.sum())
        else:
            known = (patches(pilot, places) - patches(pilot, places).mean(axis=0)) / spread
            if guide is not None:
                shown = patches(guide[None], places)
                shown = shown - shown.mean(axis=0)
                white, known = np.hstack([white, shown]), np.hstack([known, shown])
            covariance = known.T @ known / len(places)
            rows_of = [(one, ~np.isnan(one)) for one in white]
            white = [
                one[on] @ np.linalg.solve(covariance[np.ix_(on, on)] + np.eye(on.sum()), covariance[on])
                for one, on in rows_of
            ]
            white = np.array(white)[:, : values.shape[1]]
        filtered = white * spread + mean
        for (a, b, turn), one in zip(places, filtered, strict=True):
            patch = np.moveaxis(one.reshape(side, side, n), -1, 0)
            total[:, a : a + side, b : b + side] += weight * turned(patch, turn, back=True)
            cover[a : a + side, b : b + side] += weight
    return total / cover


# fewer and more than a patch has values: both systems are solved
@pytest.mark.parametrize(("similar", "turns"), [(12, 8), (60, 8), (60, 1)])
@pytest.mark.parametrize(
    ("kind", "missing"),
    [("low rank", 0.0), *product(("mean levels", "pilot", "pilot and image"), (0.0, 0.2, 0.8))],
)
def test_groups_are_filtered_as_in_numpy(
    kind: str, missing: float, similar: int, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = HOW._replace(similar=similar, turns=turns)
    monkeypatch.setitem(globals(), "HOW", how)
    image, counts, truth = stripes(17)
    features = np.sqrt(counts + 0.375) + np.random.default_rng(1).random(counts.shape)  # no two patches equally far
    floors, pilot = np.full(2, 0.05), truth if kind.startswith("pilot") else None
    guide = image / 0.3 if kind == "pilot and image" else None
    holes = np.where(np.random.default_rng(2).random(counts.shape) < missing, np.nan, 0.0)
    data, noise = counts + holes, counts if pilot is None else pilot
    if kind == "mean levels":
        data, noise = counts - truth + holes, truth
        groups: dict[int, Any] = {}
        mean_levels(2.0 * data, noise, floors, features, how, groups)
        got = mean_levels(data, noise, floors, features, how, groups)  # with the groups of the call before
    elif pilot is None:
        got = low_rank(counts, counts, floors, features, how)
    else:
        got = wiener(data, pilot, floors, pilot, guide, features, how)
    features = np.asarray(features, np.float32).astype(float)
    want = slow(kind, data, noise, pilot, guide, features)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shown", [False, True])
def test_patches_of_many_maps_are_filtered_in_the_few_patterns_of_their_pilot(
    shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = HOW._replace(similar=60, turns=1)
    monkeypatch.setitem(globals(), "HOW", how)
    rng, phases = np.random.default_rng(0), np.arange(6.0)[:, None, None]
    pilot = 8.0 + 6.0 * np.sin(np.arange(17.0) / 2.5 + phases) + np.zeros((6, 17, 1))
    counts = rng.poisson(pilot).astype(float)
    features = np.asarray(np.sqrt(counts + 0.375) + rng.random(counts.shape), np.float32).astype(float)
    guide = pilot[0] + rng.standard_normal((17, 17)) if shown else None
    got = wiener(counts, pilot, np.full(6, 0.05), pilot, guide, features, how)
    want = slow("pilot", counts, pilot, pilot, guide, features)
    np.testing.assert_allclose(got, want, rtol=3e-3)
    assert np.abs(got - want).max() > 1e-6  # not all 54 values of a patch were combined


DISTORTIONS: dict[str, Any] = {  # rows and columns of the displacement
    "none": lambda y, x: (0.0 * y, 0.0 * x),
    "shift": lambda y, x: (0.6 + 0 * y, -0.8 + 0 * x),
    "scan distortion": lambda y, x: (0.3 + 0.4 * np.sin(y / 23), 0.5 * np.cos(y / 17)),
    "jitter": lambda y, x: (0.0 * y, np.random.default_rng(4).normal(0, 0.5, len(y))[:, None] + 0 * x),
}


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_a_distorted_guide_is_moved_onto_the_maps(kind: str) -> None:
    rng = np.random.default_rng(0)
    truth = 30 * (gaussian_filter(rng.standard_normal((2, 96, 96)), (0, 3, 3)) > 0.02)
    maps = gaussian_filter(rng.poisson(truth).astype(float), (0, 1, 1))
    image = gaussian_filter(np.tensordot([2.0, 1.0], truth, axes=1), 0.7)
    y, x = np.indices(image.shape)
    distorted = map_coordinates(image, np.stack(DISTORTIONS[kind](y, x)) + np.stack([y, x]), order=3, mode="nearest")
    distorted += 0.5 * rng.standard_normal(image.shape)
    inner = (slice(8, -8), slice(8, -8))
    before, after = (np.std((one - image)[inner]) for one in (distorted, aligned(distorted, maps)))
    assert after == before if kind == "none" else after < 0.6 * before


def test_an_unrelated_guide_stays() -> None:
    rng = np.random.default_rng(1)
    maps, image = (gaussian_filter(rng.standard_normal((k, 64, 64)), (0, 2, 2)) for k in (2, 1))
    assert np.array_equal(aligned(image[0], maps), image[0])


def test_the_number_of_threads_changes_no_bit() -> None:
    image, counts, truth = stripes(70)
    results = []
    for threads in (1, 3):
        with limit_threads(threads):
            results.append(wiener(counts, truth, np.full(2, 0.05), truth, image, counts, HOW))
    assert np.array_equal(*results)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_a_quadratic_about_its_anchor(dtype: Any) -> None:
    image, counts, _ = stripes()
    made, rng = term(counts, image, dtype, weight=3.0), np.random.default_rng(0)
    x, d = (rng.random(counts.shape).astype(dtype) for _ in range(2))
    assert made.anchor.min() >= 0.0
    assert made.value(made.anchor) == 0.0
    assert made.value(x) == pytest.approx(
        1.5 * float(((x - made.anchor) ** 2 * (made.precision / 3.0)).sum()), rel=1e-4
    )
    assert made.pixel_values(x, slice(None)).sum() == pytest.approx(made.value(x), rel=1e-4)
    change = (made.value(x + dtype(0.01) * d) - made.value(x - dtype(0.01) * d)) / 0.02
    assert float((made.gradient(x) * d).sum()) == pytest.approx(change, rel=2e-2)
    assert np.array_equal(made.expand(x[:, 3:5], slice(3, 5)).gradient, made.gradient(x)[:, 3:5])
    found = made.prox(x, 0.2)
    np.testing.assert_allclose(found + dtype(0.2) * made.gradient(found), x, rtol=1e-3, atol=1e-4)
    assert np.array_equal(copy.deepcopy(made).anchor, made.anchor)


@pytest.mark.parametrize("solver", ["chambolle_pock", "condat_vu", "admm", "proximal_gradient"])
def test_every_solver_certifies_it(solver: str) -> None:
    image, counts, truth = stripes()
    made = term(counts, image)
    data = Dataset({"maps": counts, "haadf": image}, ("a", "b"))
    problem = compose(
        data,
        [{"type": "poisson", "epsilon": 0.1}, made, {"type": "tv", "weight": 0.01}, "nonnegative"],
        precision="double",
        engine="numpy",
    )
    result = solve(problem, make_solver(solver, max_iterations=500), start_from_data("auto", problem, data))
    assert result.status.value == "converged"
    assert np.linalg.norm(result.x - truth) < 0.6 * np.linalg.norm(counts - truth)


def nrmse(x: Array, truth: Array) -> Array:
    return np.sqrt(((x - truth) ** 2).sum(axis=(1, 2)) / (truth**2).sum(axis=(1, 2)))


def test_maps_are_far_nearer_to_the_truth_and_totals_are_kept() -> None:
    from scipy.ndimage import gaussian_filter

    image, counts, truth = stripes(64, dose=5.0)
    widths = np.geomspace(0.3, 4.0, 12)
    gaussian = np.min([nrmse(gaussian_filter(counts, (0, w, w)), truth) for w in widths], axis=0)
    alone, fused = (nrmse(term(counts, shown).anchor, truth) for shown in (None, image))
    assert (alone < 0.8 * gaussian).all()
    assert (fused < alone).all()
    draft = nrmse(term(counts, image).draft().anchor, truth)
    assert (draft != fused).all()
    assert (draft < 1.2 * fused).all()
    totals = term(counts, image).anchor.sum(axis=(1, 2))
    np.testing.assert_allclose(totals, counts.sum(axis=(1, 2)), rtol=0.01)


def test_a_thin_layer_keeps_its_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The means of residuals mend what shrinkage takes from all patches of the layer."""
    y, x = np.mgrid[:72, :72]
    line = np.exp(-0.5 * ((x - 36 - 6 * np.sin(y / 12)) / 0.8) ** 2)
    truth = np.stack([20.0 - 8.0 * line, 0.6 + 4.0 * line])
    losses = []
    for corrections in (0, 2):
        monkeypatch.setattr("fusionkit.operators.penalty.patch_consensus._CORRECTIONS", corrections)
        consensus.cache_clear()
        lost = 0.0
        for seed in range(2):
            counts = np.random.default_rng(seed).poisson(truth).astype(float)
            lost += (counts - term(counts, similar=120, search=28).anchor)[1, line > 0.1].sum()
        losses.append(lost)
    assert losses[0] > 0.0
    assert abs(losses[1]) < 0.6 * losses[0]


def test_an_unrelated_image_costs_little() -> None:
    _, counts, truth = stripes(64)
    noise = np.random.default_rng(3).standard_normal(truth.shape[1:])
    assert (nrmse(term(counts, noise).anchor, truth) < 1.1 * nrmse(term(counts).anchor, truth)).all()


@pytest.mark.parametrize("factor", [0.5, 20.0])
def test_units_of_the_maps_change_nothing_else(factor: float) -> None:
    image, counts, _ = stripes()
    np.testing.assert_allclose(term(factor * counts, image).anchor, factor * term(counts, image).anchor, rtol=1e-5)


def test_a_background_belongs_to_the_noise_and_not_to_the_maps() -> None:
    image, _, truth = stripes(64)
    background = np.full(truth.shape, 4.0)
    gross = np.random.default_rng(5).poisson(truth + background).astype(float)
    data = Dataset({"maps": gross, "maps_background": background, "haadf": image}, ("a", "b"))
    context = Context(data, truth.shape, ("a", "b"), np.dtype(np.float64))
    made = context.build("terms", Spec.model_validate({"type": "joint_nonlocal"}), "terms[0]")
    np.testing.assert_allclose(made.anchor.sum(axis=(1, 2)), (gross - background).sum(axis=(1, 2)), rtol=0.02)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_mixed_counts_are_unmixed_with_their_noise(factor: float) -> None:
    """Also where a count has the value 2, as in half of the counts of a search."""
    image, _, truth = stripes(64)
    mixing = np.array([[0.9, 0.5], [0.0, 0.4]])
    gross = factor * np.random.default_rng(5).poisson(np.tensordot(mixing, truth, axes=1) / factor).astype(float)
    data = Dataset({"maps": gross, "maps_mixing": mixing, "haadf": image}, ("a", "b"))
    context = Context(data, truth.shape, ("a", "b"), np.dtype(np.float64))
    made = context.build("terms", Spec.model_validate({"type": "joint_nonlocal", "weight": 1.0}), "terms[0]")
    raw, inverse = np.tensordot(np.linalg.inv(mixing), gross, axes=1), np.linalg.inv(mixing)
    assert (nrmse(made.anchor, truth) < 0.35 * nrmse(raw, truth)).all()
    variance = factor * np.tensordot(inverse**2 @ mixing, made.anchor, axes=1)
    np.testing.assert_allclose(1.0 / made.precision, variance, rtol=1e-6)


@pytest.mark.parametrize("value", [-1.0, -(2.0**63), 0.0])
def test_constant_maps_have_some_noise(value: float) -> None:
    """Without any the groups were not finite."""
    source = term(np.full((2, 20, 16), value)).source
    assert np.isfinite(1.0 / np.maximum(source.noise, source.floors[:, None, None])).all()


def test_maps_that_are_no_counts_take_their_own_noise() -> None:
    image, _, truth = stripes(64)
    maps = truth + np.random.default_rng(7).standard_normal(truth.shape) - 2.0
    made = term(maps, image)
    error = np.abs(made.anchor - np.maximum(truth - 2.0, 0.0)).mean()
    assert error < 0.5


@pytest.mark.parametrize("where", [slice(None), slice(20, None)], ids=["everywhere", "in a part"])
def test_empty_maps_stay_empty(where: slice) -> None:
    image, counts, _ = stripes()
    image, counts = image.copy(), counts.copy()
    image[where], counts[:, where] = 1.0, 0.0  # all patches there are equal
    anchor = term(counts, image).anchor
    assert np.isfinite(anchor).all()
    assert anchor[:, where][:, 8:].max() < 0.1


def test_weight_zero_takes_no_part() -> None:
    image, counts, _ = stripes()
    problem = compose(
        Dataset({"maps": counts, "haadf": image}, ("a", "b")), ["poisson", {"type": "joint_nonlocal", "weight": 0.0}]
    )
    assert problem.terms[1].silent
    assert problem.terms[1].value(counts) == 0.0


def test_shares_mix_groups_with_the_image_and_without_and_large_patches() -> None:
    image, counts, _ = stripes()
    guided, alone = term(counts, image).anchor, term(counts).anchor
    mixed = term(counts, image, guide_share={"a": 0.25}).anchor
    np.testing.assert_allclose(mixed[0], 0.25 * guided[0] + 0.75 * alone[0], rtol=1e-12)
    np.testing.assert_array_equal(mixed[1], guided[1])
    small, large = term(counts).anchor, term(counts, large_share=1.0).anchor
    mixed = term(counts, large_share={"a": 0.25}).anchor
    np.testing.assert_allclose(mixed[0], 0.75 * small[0] + 0.25 * large[0], rtol=1e-12)
    np.testing.assert_array_equal(mixed[1], small[1])


def test_where_nothing_was_measured_the_image_tells_the_maps() -> None:
    image, counts, truth = stripes()
    out = np.random.default_rng(5).random(image.shape) < 0.8
    errors = [
        np.linalg.norm((term(np.where(out, np.nan, counts), guide).anchor - truth)[:, out]) for guide in (image, None)
    ]
    assert errors[0] < 0.65 * errors[1]
    assert errors[0] < 0.15 * np.linalg.norm(truth[:, out])


@given(st.integers(0, 10**6), st.floats(0.0, 1.0))
def test_the_share_minimises_the_held_out_error(seed: int, other: float) -> None:
    rng = np.random.default_rng(seed)
    guided, without, held_out = rng.random((3, 400)) + np.array([[0.2], [0.0], [0.1]])
    share = share_of_start((guided - held_out) ** 2, (without - held_out) ** 2, (guided - without) ** 2)

    def error(c: float) -> float:
        return float(((c * guided + (1.0 - c) * without - held_out) ** 2).sum())

    assert share == 1.0 or error(share) <= error(other) * 1.001


def test_the_compiled_solve_gives_the_maps_of_numpy() -> None:
    """With a background and pixels left out, in another unit, and beside the image: a Pearson loss of counts."""
    image, counts, _ = stripes()
    image[3:5, 2] = counts[0, 9, 4:6] = counts[1, 9, 5] = np.nan
    arrays = {"maps": 2.0 * counts, "maps_background": np.full_like(counts, 0.5), "haadf": image}
    data = Dataset(arrays, ("a", "b"), masked=("haadf", "maps"))
    forward = {"type": "elements", "elements": ["a", "b"], "background": "maps_background"}
    terms = [
        {
            "type": "haadf",
            "weight": 0.1,
            "gain": "auto",
            "offset": "auto",
            "model": "z_contrast",
            "z": {"a": 2, "b": 1},
        },
        {"type": "poisson", "weight": 0.5, "epsilon": "auto", "forward": forward},
        {"type": "joint_nonlocal", "similar": 40, "search": 12},
        {"type": "nonnegative"},
    ]
    results = []
    for engine in ("numpy", "numba"):
        problem = compose(data, terms, precision="double", engine=engine)
        solver = make_solver("chambolle_pock", max_iterations=200, tolerance=1e-7)
        results.append(solve(problem, solver, start_from_data("auto", problem, data)))
    assert not any("NumPy" in one for one in results[1].notes)
    np.testing.assert_allclose(results[0].x, results[1].x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"guide_share": {"c": 0.5}}, r"guide_share: names 'c'"),
        ({"data": "haadf"}, r"data: 'haadf' has the shape"),
        ({"guide": "maps"}, r"guide: 'maps' has the shape"),
        ({"guide": "nothing"}, r"guide: there is no data called 'nothing'"),
        ({"patch": 13}, r"patch: is 13"),
    ],
)
def test_refusals_name_the_key(options: dict[str, Any], text: str) -> None:
    image, counts, _ = stripes(12)
    with pytest.raises(UserError, match=text):
        term(counts, image, **options)


def test_held_out_counts_compare_it_with_other_penalties() -> None:
    from fusionkit.compose_problem import Objective
    from fusionkit.weights.choose import choose_weights

    image, counts, _ = stripes(64)
    data = Dataset({"maps": counts, "haadf": image}, ("a", "b"))
    terms = ["poisson", {"type": "tv", "weight": "auto"}, {"type": "joint_nonlocal", "weight": "auto"}, "nonnegative"]
    specs = [Spec(type=one) if isinstance(one, str) else Spec.model_validate(one) for one in terms]
    chosen = {one.term: one.weight for one in choose_weights(data, Objective(specs, Spec(type="chambolle_pock")))}
    assert chosen == {"tv": 0.0, "joint_nonlocal": 50.0}
