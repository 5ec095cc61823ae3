"""The page of a comparison: table, maps side by side, and convergence of all runs."""

import numpy as np

from fusionkit.config.yaml import dump
from fusionkit.report.comparison import Comparison
from fusionkit.report.content import Chart, Curve, Derived, Layer, Page, Panel, Section, Style, Table
from fusionkit.report.convergence import gap_curve
from fusionkit.report.image_limits import image_limits, quantity, symmetric_limits
from fusionkit.report.maps import MOST, Gallery, layer
from fusionkit.report.raw_maps import RawMaps, raw_maps
from fusionkit.report.run_images import difference
from fusionkit.report.trace import interpolate_trace
from fusionkit.results.record import Diagnostic
from fusionkit.results.saved import SavedRun
from fusionkit.results.summary import versions
from fusionkit.terms import Array


def comparison_page(comparison: Comparison) -> Page:
    """The page of a comparison."""
    runs, elements = comparison.runs, comparison.maps.elements
    images = _gallery(comparison.maps.runs, elements)
    reference = (comparison.maps.runs or runs)[0]
    first = reference.saved
    names = tuple(run.name for run in runs)
    ny, nx = first.x.shape[1:] if elements else (1, 1)
    is_scaled = bool(elements) and comparison.maps.one_scale
    return Page(
        title="Comparison of " + ", ".join(names),
        subtitle=f"{len(runs)} runs; differences are taken against {reference.name}",
        diagnostics=tuple(Diagnostic("warning", note) for note in comparison.notes),
        panels=images.panels,
        images=images.images,
        derived=images.derived,
        pixels=(ny, nx) if elements else None,
        field_width=first.pixel_size * nx if is_scaled and first.pixel_size is not None else None,
        units=first.units if is_scaled else None,
        side_by_side=True,
        sections=_sections(comparison),
        tables=(Table("Numbers", ("", *names), comparison.rows, first=True),),
        texts=tuple((f"Resolved configuration of {run.name}", dump(run.config)) for run in runs),
        footer=f"Written by fusionkit {versions()['fusionkit']}.",
    )


def _gallery(runs: tuple[SavedRun, ...], elements: tuple[str, ...]) -> Gallery:
    panels: list[Panel] = []
    images: dict[str, Array] = {}
    derived: dict[str, Derived] = {}
    recorded = [raw_maps(run.saved.inputs, {}, run.saved.labels, len(run.saved.x), run.config) for run in runs]
    for element in elements[:MOST]:
        unit = quantity(runs[0].saved.inputs.get("maps", runs[0].saved.x))
        maps = {run.name: run.saved.maps[element] for run in runs}
        truths = [_truth(run, element) for run in runs]
        raws = [_raw(run, raw, element) for run, raw in zip(runs, recorded, strict=True)]
        truth = truths[0]
        limits = image_limits(list(maps.values()) + ([] if truth is None else [truth]))
        layers: list[Layer] = []
        for index, (name, image) in enumerate(maps.items()):
            key = f"{element} {index}"
            images[key] = image
            layers.append(layer(name, key, limits, image))
        extra: tuple[tuple[str, list[Array | None], Style], ...] = (
            (recorded[0].name, raws, "thin"),
            ("truth", truths, "dashed"),
        )
        for name, (image, *others), style in extra:
            if image is not None:
                images[f"{element} {name}"] = image
                is_common = all(other is not None and np.array_equal(image, other) for other in others)
                layer_name = name if is_common else f"{name} of {runs[0].name}"
                layers.append(layer(layer_name, f"{element} {name}", limits, image, "maps", style))
        layers += _differences(element, maps, derived)
        panels.append(Panel(element, unit, tuple(layers), element, overlay=True))
    return Gallery(tuple(panels), images, derived)


def _truth(run: SavedRun, element: str) -> Array | None:
    """The true map of an element; None if unknown or of another shape."""
    truth = run.saved.truth
    return truth[run.saved.labels.index(element)] if truth is not None and truth.shape == run.saved.x.shape else None


def _raw(run: SavedRun, recorded: RawMaps, element: str) -> Array | None:
    """The raw map of an element; None if it has other pixels than the fused map."""
    image = recorded.images[run.saved.labels.index(element)]
    return image if image is not None and image.shape == run.saved.x.shape[1:] else None


def _differences(element: str, maps: dict[str, Array], derived: dict[str, Derived]) -> list[Layer]:
    """Each other run minus the first, with common limits; adds to ``derived``."""
    (first, reference), *others = maps.items()
    changes = [difference(image, reference) for _, image in others]
    # equal maps have limits of 1, which must not hide the differences of others
    top = max((symmetric_limits(change)[1] for change in changes if np.any(change)), default=1.0)
    layers = []
    for index, ((name, _), change) in enumerate(zip(others, changes, strict=True), start=1):
        key = f"{element} {index} less first"
        derived[key] = Derived(f"{element} {index}", -1, f"{element} 0")
        layers.append(layer(f"{name} − {first}", key, (-top, top), change, "diverging", None))
    return layers


def _sections(comparison: Comparison) -> tuple[Section, ...]:
    charts = [
        chart
        for against, label in (("iteration", "iteration"), ("seconds", "seconds"))
        for chart in (_gap(comparison, against, label), _optimality(comparison.runs, against, label))
        if chart is not None
    ]
    return (Section("Convergence", tuple(charts)),) if charts else ()


def _gap(comparison: Comparison, against: str, label: str) -> Chart | None:
    """The objectives relative to the lowest of all; None if they are not comparable."""
    if not comparison.one_objective:
        return None
    objectives = [np.asarray(run.saved.trace.get("objective", ()), np.float64) for run in comparison.runs]
    finite = np.concatenate([values[np.isfinite(values)] for values in objectives])
    if not finite.size:
        return None
    columns = [_columns(run, against, "objective") for run in comparison.runs]
    curves = [
        gap_curve(run.name, x.tolist(), objective, float(finite.min()))
        for run, (x, objective) in zip(comparison.runs, columns, strict=True)
        if objective.size
    ]
    thin = tuple(Curve(curve.name, curve.x, curve.y) for curve in curves if curve is not None)
    return Chart("Objective above the lowest of all", label, "(F − Fmin) / |Fmin|", thin, log=True) if thin else None


def _optimality(runs: tuple[SavedRun, ...], against: str, label: str) -> Chart | None:
    columns = [_columns(run, against, "optimality") for run in runs]
    curves = tuple(
        Curve(run.name, x.tolist(), optimality.tolist())
        for run, (x, optimality) in zip(runs, columns, strict=True)
        if optimality.size
    )
    return Chart("Optimality", label, "relative optimality", curves, log=True) if curves else None


def _columns(run: SavedRun, *names: str) -> list[Array]:
    """Columns of the trace of a run; empty if it has none."""
    trace = interpolate_trace(run.saved.trace, run.saved.looks)
    return [np.asarray(trace.get(name, ()), np.float64) for name in names]
