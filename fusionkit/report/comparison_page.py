"""The page of a comparison: the table, the maps side by side, and the convergence of all runs."""

from __future__ import annotations

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
    """The page of a comparison.

    Parameters
    ----------
    comparison : of at least two runs.
    """
    runs, elements = comparison.runs, comparison.maps.elements
    shown = _gallery(comparison.maps.runs, elements)
    reference = (comparison.maps.runs or runs)[0]
    first = reference.saved
    names = tuple(run.name for run in runs)
    ny, nx = first.x.shape[1:] if elements else (1, 1)
    is_scaled = bool(elements) and comparison.maps.one_scale
    return Page(
        title="Comparison of " + ", ".join(names),
        subtitle=f"{len(runs)} runs; differences are taken against {reference.name}",
        diagnostics=tuple(Diagnostic("warning", note) for note in comparison.notes),
        panels=shown.panels,
        images=shown.images,
        derived=shown.derived,
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
        truths = [_own(run, run.saved.truth, element) for run in runs]
        raws = [_raw(run, one, element) for run, one in zip(runs, recorded, strict=True)]
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
                layer_name = name if _all_equal(image, others) else f"{name} of {runs[0].name}"
                layers.append(layer(layer_name, f"{element} {name}", limits, image, "maps", style))
        layers += _differences(element, maps, derived)
        panels.append(Panel(element, unit, tuple(layers), element, overlay=True))
    return Gallery(tuple(panels), images, derived)


def _own(run: SavedRun, stack: Array | None, element: str) -> Array | None:
    """The map of an element in a stack of the shape of the unknown; None for another stack."""
    fits = stack is not None and stack.shape == run.saved.x.shape
    return stack[run.saved.labels.index(element)] if fits and stack is not None else None


def _raw(run: SavedRun, recorded: RawMaps, element: str) -> Array | None:
    """The raw map of an element, if it has the pixels of the fused one."""
    image = recorded.images[run.saved.labels.index(element)]
    return image if image is not None and image.shape == run.saved.x.shape[1:] else None


def _all_equal(image: Array, others: list[Array | None]) -> bool:
    """Whether every run has this image."""
    return all(other is not None and np.array_equal(image, other) for other in others)


def _differences(element: str, maps: dict[str, Array], derived: dict[str, Derived]) -> list[Layer]:
    """Every other run minus the first, with common limits; adds to ``derived``."""
    (first, reference), *others = maps.items()
    changes = [difference(image, reference) for _, image in others]
    # equal maps, with limits of 1, must not hide the differences of others
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
    """The objectives above the lowest of all; None if not comparable."""
    if not comparison.one_objective:
        return None
    checked = [np.asarray(run.saved.trace.get("objective", ()), np.float64) for run in comparison.runs]
    finite = np.concatenate([one[np.isfinite(one)] for one in checked])
    if not finite.size:
        return None
    columns = [_columns(run, against, "objective") for run in comparison.runs]
    curves = [
        gap_curve(run.name, x.tolist(), objective, float(finite.min()))
        for run, (x, objective) in zip(comparison.runs, columns, strict=True)
        if objective.size
    ]
    kept = tuple(Curve(each.name, each.x, each.y) for each in curves if each is not None)
    return Chart("Objective above the lowest of all", label, "(F − Fmin) / |Fmin|", kept, log=True) if kept else None


def _optimality(runs: tuple[SavedRun, ...], against: str, label: str) -> Chart | None:
    columns = [_columns(run, against, "optimality") for run in runs]
    curves = tuple(
        Curve(run.name, x.tolist(), optimality.tolist())
        for run, (x, optimality) in zip(runs, columns, strict=True)
        if optimality.size
    )
    return Chart("Optimality", label, "relative optimality", curves, log=True) if curves else None


def _columns(run: SavedRun, *names: str) -> list[Array]:
    """Columns of the trace of a run; empty without a trace."""
    course = interpolate_trace(run.saved.trace, run.saved.looks)
    return [np.asarray(course.get(name, ()), np.float64) for name in names]
