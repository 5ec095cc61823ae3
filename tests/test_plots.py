"""The figures: every panel, no overlaps, no warnings for any data, reproducible bytes."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from fusionkit.certificate import Certificate
from fusionkit.data.dataset import Dataset
from fusionkit.data.spectra import Spectrum
from fusionkit.report.figures.convergence import convergence_figure
from fusionkit.report.figures.image import draw_colour_bar, draw_image, round_length
from fusionkit.report.figures.maps import _LABELS, maps_figure
from fusionkit.report.figures.save import save
from fusionkit.report.figures.spectrum import spectrum_figure
from fusionkit.report.image_limits import block_mean, image_limits, quantity, symmetric_limits
from fusionkit.result import Result, Status
from fusionkit.results.record import RunRecord

ELEMENTS = ("Co", "S", "O", "Ti", "Pd", "Cu", "Sr", "Ba")
CHECKS = np.arange(0.0, 110.0, 10.0)
TRACE = {
    "iteration": CHECKS,
    "objective": 100.0 + np.exp(-CHECKS / 20),
    "optimality": np.exp(-CHECKS / 10),
    "stationarity": np.exp(-CHECKS / 10),
    "alignment": 0.1 * np.exp(-CHECKS / 10),
    "feasibility": np.zeros(CHECKS.size),
    "term.haadf": 10.0 * np.exp(-CHECKS / 30),
    "term.tv": 100.0 - CHECKS / 10,
}


def make_result(x: np.ndarray, labels: tuple[str, ...]) -> Result:
    """A result with the trace above."""
    return Result(
        x, labels, Status.CONVERGED, "converged", 100, 100.0, {"tv": 1.0}, Certificate(1e-5, 0.0, 0.0), TRACE, {}, 1.0
    )


def make_run(n: int, ny: int = 24, nx: int = 32, truth: bool = True, value: float | None = None) -> RunRecord:
    """A run on n maps of counts, constant if ``value`` is given."""
    rng = np.random.default_rng(n)
    x = np.cumsum(rng.random((n, ny, nx)), axis=2) if value is None else np.full((n, ny, nx), value)
    maps = rng.poisson(x).astype(np.float32) if value is None else x.astype(np.float32)
    haadf = x.sum(axis=0)
    dataset = Dataset({"haadf": haadf, "maps": maps}, ELEMENTS[:n], 0.2, "nm", x if truth else None)
    return RunRecord(
        make_result(x.astype(np.float32), ELEMENTS[:n]),
        dataset,
        {"solver": {"tolerance": 1e-4}},
        haadf if value is not None else haadf + rng.normal(size=haadf.shape),
        term_weights={"tv": 0.1},
    )


def make_vector(count: int, truth: bool = True) -> RunRecord:
    """A linear regression with that many coefficients."""
    rng = np.random.default_rng(count)
    w, a = rng.normal(size=count), rng.normal(size=(30, count))
    dataset = Dataset({"y": a @ w + rng.normal(size=30)}, truth=w if truth else None)
    labels = tuple(f"coefficient {index}" for index in range(count))
    return RunRecord(make_result(w + 0.1, labels), dataset, {}, predictions={"y": a @ w})


def drawn(figure: Figure) -> Figure:
    """The figure after drawing, so that warnings appear now."""
    FigureCanvasAgg(figure).draw()
    return figure


def titles(figure: Figure) -> list[str]:
    """Titles of all panels."""
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def assert_tidy(figure: Figure) -> None:
    """All text lies inside the figure, and no panel with its labels overlaps another."""
    page = figure.bbox
    boxes: list[Bbox] = []
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box is not None
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
        assert page.y0 <= box.y0 <= box.y1 <= page.y1
        boxes.append(box)
    for first, second in itertools.combinations(boxes, 2):
        shared = Bbox.intersection(first, second)
        assert shared is None or min(shared.width, shared.height) < 1.0
    head = figure.get_suptitle()
    assert head == "Converged after 100 iterations   ·   objective 100   ·   optimality 1e-05"


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_maps_of_n_elements(n: int) -> None:
    figure = drawn(maps_figure(make_run(n)))
    expected = ["HAADF", "HAADF model", "HAADF − model"]
    expected += [f"{name} {kind}" for name in ELEMENTS[:n] for kind in ("raw", "fused", "truth")]
    assert titles(figure) == expected
    assert len(figure.axes) == 2 * len(expected)  # each with its colour bar
    assert_tidy(figure)
    width, height = figure.get_size_inches()
    assert 0.8 < width / height < 3.2
    assert max(width, height) < 22


@pytest.mark.parametrize("shape", [(2, 2), (16, 64), (64, 16), (3, 300), (300, 3), (1500, 1100)])
def test_maps_of_any_shape(shape: tuple[int, int]) -> None:
    figure = drawn(maps_figure(make_run(2, *shape, truth=False)))
    assert titles(figure)[3:6] == ["Co raw", "Co fused", "Co raw − fused"]
    assert_tidy(figure)


@pytest.mark.parametrize("value", [0.0, 1.0, -2.0, 3e38, 1e-30, np.nan, np.inf])
def test_constant_images(value: float) -> None:
    with np.errstate(invalid="ignore"):
        run = make_run(2, truth=False, value=value)
    drawn(maps_figure(run))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model_haadf": None}, ["HAADF", "Co raw", "Co fused", "Co truth"]),
        ({"dataset": Dataset({})}, ["Co fused"]),
        ({"dataset": Dataset({"maps": np.ones((1, 12, 16))})}, ["Co raw, its own pixels", "Co fused"]),
        (
            {"dataset": Dataset({"eels": np.ones((12, 16))}), "predictions": {"eels": np.zeros((12, 16))}},
            ["eels", "eels model", "eels − model", "Co fused"],
        ),
    ],
)
def test_what_is_not_known_is_left_out(change: dict[str, object], expected: list[str]) -> None:
    figure = drawn(maps_figure(dataclasses.replace(make_run(1), **change)))
    assert titles(figure) == expected
    assert_tidy(figure)


def _images(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title(): axes for axes in figure.axes if axes.get_title()}


def test_limits_labels_and_scale_bar() -> None:
    figure = drawn(maps_figure(make_run(2, truth=False)))
    panels = _images(figure)
    assert panels["Co raw"].images[0].get_clim() == panels["Co fused"].images[0].get_clim()
    assert panels["HAADF"].images[0].get_clim() == panels["HAADF model"].images[0].get_clim()
    for name in ("HAADF − model", "S raw − fused"):
        low, high = panels[name].images[0].get_clim()
        assert low == -high
    assert {axes.get_ylabel() for axes in figure.axes if not axes.get_title()} == {"arb. units", "counts"}
    bars = [artist for axes in figure.axes for artist in axes.artists if isinstance(artist, AnchoredSizeBar)]
    assert [bar.txt_label.get_text() for bar in bars] == ["1 nm"]  # 32 pixels of 0.2 nm
    assert not any(axes.get_xticks().size for axes in panels.values())


def test_a_spectrum_ends_with_its_counts_and_its_names_lie_apart() -> None:
    energies = np.arange(0.1, 40.0, 0.02)
    lines = {"S": 2.31, "Mo": 2.29, "Pb": 2.34, "Fe": 6.4}
    parts: dict[str, Any] = {name: 900.0 * np.exp(-(((energies - at) / 0.06) ** 2)) for name, at in lines.items()}
    one = Spectrum("maps", energies, np.full(energies.size, 0.02), sum(parts.values(), np.zeros(energies.size)), parts)
    assert 6.4 < energies[one.shown][-1] < 7.0
    axes = drawn(spectrum_figure([one])).axes[0]
    assert axes.get_xlim()[1] == energies[one.shown][-1]
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert boxes.keys() == lines.keys()
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes.values(), 2))


@pytest.mark.parametrize("limits", [(-0.01, 0.01), (-0.52, -0.515), (-1000.0, 1000.0), (-7300.0, -7227.0), (0.0, 1e-4)])
def test_labels_of_a_colour_bar_stay_in_their_place(limits: tuple[float, float]) -> None:
    figure = Figure(figsize=(4.0, 2.5), dpi=100)
    left, bar = figure.add_axes((0.1, 0.1, 0.5, 0.8)), figure.add_axes((0.6, 0.1, 0.0, 0.8))
    image = np.linspace(*limits, 64).reshape(8, 8)
    draw_colour_bar(figure, bar, draw_image(left, image, limits, "gray", ""), 1.1 * image, "arb. units")
    box = bar.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
    assert box is not None
    assert box.x1 / 100 - 2.4 < _LABELS - 0.05


def test_no_scale_bar_without_pixel_size() -> None:
    run = make_run(1)
    run = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, pixel_size=None, units=None))
    figure = drawn(maps_figure(run))
    assert not any(isinstance(artist, AnchoredSizeBar) for axes in figure.axes for artist in axes.artists)


@pytest.mark.parametrize("count", [1, 3, 12, 41])
@pytest.mark.parametrize("truth", [False, True])
def test_vector_unknown(count: int, truth: bool) -> None:
    figure = drawn(maps_figure(make_vector(count, truth)))
    assert titles(figure) == ["Coefficients", "Data against prediction"]
    assert_tidy(figure)
    words = {text.get_text() for text in figure.legends[0].get_texts()}
    assert words == {"estimate", "prediction = data"} | ({"truth"} if truth else set())


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_constant_vector(value: float) -> None:
    run = make_vector(3)
    constant = np.full(30, value)
    run = dataclasses.replace(
        run,
        result=make_result(np.full(3, value), ()),
        dataset=Dataset({"y": constant}),
        predictions={"y": constant},
    )
    drawn(maps_figure(run))


def test_convergence() -> None:
    figure = drawn(convergence_figure(make_run(2)))
    assert titles(figure) == ["Objective and its terms", "Objective above its lowest value", "Optimality and its parts"]
    assert_tidy(figure)
    terms, gap, optimality = figure.axes
    assert terms.get_legend_handles_labels()[1] == ["objective", "haadf", "tv, weight 0.1"]
    assert optimality.get_legend_handles_labels()[1] == [
        "optimality",
        "stationarity",
        "alignment",
        "feasibility (0)",
        "tolerance 0.0001",
    ]
    assert [axes.get_yscale() for axes in (gap, optimality)] == ["log", "log"]
    legends = [axes.get_legend() for axes in (terms, optimality)]
    for axes, legend in zip((terms, optimality), legends, strict=True):
        assert legend is not None
        assert legend.get_window_extent().y1 < axes.get_window_extent().y0  # below the panel


@pytest.mark.parametrize(
    "trace",
    [
        {},
        {"iteration": np.array([0.0]), "objective": np.array([1.0]), "optimality": np.array([0.5])},
        {"iteration": CHECKS, "objective": np.zeros(11), "optimality": np.zeros(11)},
        {**TRACE, "objective": np.where(CHECKS > 50, np.inf, CHECKS), "term.tv": np.full(11, np.nan)},
        {**TRACE, "objective": np.full(11, np.nan), "optimality": np.full(11, np.inf)},
        {**TRACE, "objective": -TRACE["objective"]},
        {**TRACE, "objective": 10.0 ** (3 * CHECKS)},
        {**TRACE, **{f"term.{index}": np.ones(11) for index in range(12)}},
    ],
)
def test_odd_traces(trace: dict[str, np.ndarray]) -> None:
    run = make_run(1)
    drawn(convergence_figure(dataclasses.replace(run, result=dataclasses.replace(run.result, trace=trace))))


def test_files_are_reproducible(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save(convergence_figure(make_run(1)), tmp_path / name)
    content = (tmp_path / "a.png").read_bytes()
    assert content == (tmp_path / "b.png").read_bytes()
    assert content.startswith(b"\x89PNG")


@settings(deadline=None, max_examples=25)
@given(ny=st.integers(1, 40), nx=st.integers(1, 40), largest=st.integers(1, 50))
def test_block_mean(ny: int, nx: int, largest: int) -> None:
    image = np.random.default_rng(0).random((ny, nx)).astype(np.float32)
    block = -(-max(ny, nx) // largest)
    expected = [
        [image[i : i + block, j : j + block].mean(dtype=np.float64) for j in range(0, nx, block)]
        for i in range(0, ny, block)
    ]
    reduced = block_mean(image, largest)
    assert max(reduced.shape) <= largest
    np.testing.assert_allclose(reduced, expected, rtol=1e-12)


@settings(deadline=None, max_examples=25)
@given(width=st.floats(1e-6, 1e9))
def test_round_length(width: float) -> None:
    length = round_length(width)
    assert width / 10.001 <= length <= width / 3.999
    assert float(f"{length:.0e}"[0]) in (1, 2, 5)


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([0, 1, 5], "counts"),
        ([0.0, 0.5, 1.0], "relative"),
        ([0.0, 0.5, 3.0], "arb. units"),
        ([-1.0, 2.0], "arb. units"),
        ([np.nan], "arb. units"),
    ],
)
def test_quantity(values: list[float], unit: str) -> None:
    assert quantity(np.array(values, dtype=np.float64)) == unit


def test_hot_pixels_do_not_move_the_limits() -> None:
    image = np.random.default_rng(0).random((100, 100))
    image[0, 0] = 1e6
    assert image_limits([image])[0] == 0.0
    assert image_limits([image])[1] < 1.01
    assert symmetric_limits(image)[1] < 1.01


def test_lonely_signal_is_shown() -> None:
    image = np.zeros((100, 100))
    image[0, 0] = 2.0
    assert symmetric_limits(image) == (-2.0, 2.0)
