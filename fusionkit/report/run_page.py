"""The report of one run: its content as a `Page`."""

import numpy as np

from fusionkit.config.yaml import dump
from fusionkit.report.content import MOST_BARS, Chart, Curve, Page, Section, Table
from fusionkit.report.convergence import convergence_section
from fusionkit.report.maps import MOST, field_of_view, gallery, unknown_maps
from fusionkit.report.overview import overview
from fusionkit.report.residuals import residual_section
from fusionkit.report.spectrum import spectrum_section
from fusionkit.report.trace import STATUS_WORDS
from fusionkit.result import Status
from fusionkit.results.record import Diagnostic, RunRecord
from fusionkit.results.summary import versions
from fusionkit.terms import Array
from fusionkit.weights.chosen import ChosenWeight, SearchCurve


def run_page(record: RunRecord, name: str) -> Page:
    """The report of a run; ``name`` is that of its output folder."""
    result, dataset, verdict = record.result, record.dataset, record.verdict
    images = gallery(record)
    pixels, width = field_of_view(record)
    has_maps = unknown_maps(result.x) is not None
    sections = (
        None if has_maps else vector_section(record),
        residual_section(record),
        spectrum_section(record),
        weights_section(record),
        convergence_section(record),
    )
    tables = (
        counts_table(record),
        None if has_maps else coefficient_table(record),
        composition_table(record),
        _terms(record),
    )
    return Page(
        title=name,
        subtitle=dataset.source,
        verdict=STATUS_WORDS[result.status] if verdict is None else verdict.level.capitalize(),
        level=("good" if result.status is Status.CONVERGED else "caution") if verdict is None else verdict.level,
        facts=_facts(record),
        diagnostics=_sentences(record),
        panels=images.panels,
        images=images.images,
        derived=images.derived,
        pixels=pixels,
        field_width=width,
        units=dataset.units,
        sections=tuple(section for section in sections if section is not None),
        tables=tuple(table for table in tables if table is not None),
        details=(Table("Versions", ("library", "version"), tuple(versions().items())),),
        texts=(("Resolved configuration", dump(record.resolved_config)),),
        footer=f"Written by fusionkit {versions()['fusionkit']}.",
    )


def _facts(record: RunRecord) -> tuple[tuple[str, str], ...]:
    result = record.result
    solver = record.resolved_config.get("solver", {}).get("type", "")
    own = dict(overview(record))
    facts = {name: own[name] for name in ("recording", "image") if name in own} | {
        "status": STATUS_WORDS[result.status].lower(),
        "iterations": str(result.iterations),
        "objective": f"{result.objective:.8g}",
        "optimality": f"{result.optimality:.2e}",
        "solve": f"{result.seconds:.2f} s",
        "unknown": " × ".join(map(str, result.x.shape)),
        "solver": solver,
        "engine": f"{result.engine}, {result.x.dtype}",
        "device": result.device,
    }
    if record.uncertainty is not None:
        facts["error bars"] = f"{record.uncertainty.method}, {record.uncertainty.seconds:.2f} s"
    return tuple((name, value) for name, value in facts.items() if value)


def _sentences(record: RunRecord) -> tuple[Diagnostic, ...]:
    """The warnings of diagnostics and run, then the notes of diagnostics, data and solver."""
    result, dataset = record.result, record.dataset
    reasons = () if record.verdict is None else record.verdict.reasons
    warnings = [Diagnostic("warning", text) for text in record.warnings]
    notes = [Diagnostic("note", text) for text in (*dataset.notes, *result.notes)]
    maps = unknown_maps(result.x)
    if maps is not None and maps.shape[0] > MOST:
        notes.append(Diagnostic("note", f"Only the first {MOST} of {maps.shape[0]} maps are shown."))
    first = [Diagnostic("warning", text) for text in reasons]
    unique = dict.fromkeys((*first, *record.diagnostics, *warnings, *notes))
    return tuple(sorted(unique, key=lambda each: each.level != "warning"))


def counts_table(record: RunRecord) -> Table | None:
    """Net counts of each map with their error and limit, and the verdict; None without maps."""
    if not record.counts:
        return None
    levels = {} if record.verdict is None else record.verdict.elements
    rows = []
    for name, one in record.counts.items():
        numbers = (f"{v:,.0f}" if one.unit else f"{v:.4g}" for v in (one.net, one.error, one.fused, one.limit))
        level = levels.get(name.partition(" ")[0], "good") if one.detected else "not detected"
        rows.append((name, *numbers, level))
    head = ("element", "net counts", "error", "fused", "detection limit", "verdict")
    note = "Net counts are those above the background; the error is that of counting."
    if not all(one.unit for one in record.counts.values()):
        head, note = ("element", "sum", *head[2:]), "Sums of the maps, with the error of their noise."
    return Table("Elements", head, tuple(rows), note, first=True)


def _terms(record: RunRecord) -> Table:
    result = record.result
    rows = tuple(
        (name, f"{record.term_weights[name]:g}" if name in record.term_weights else "–", f"{value:.8g}")
        for name, value in result.terms.items()
    )
    return Table("Objective", ("term", "weight", "weighted value"), (*rows, ("sum", "", f"{result.objective:.8g}")))


_MOST_POINTS = 5000  # of a scatter plot; of more, an even selection is drawn


def vector_section(record: RunRecord) -> Section:
    """The coefficients with their true values if known, and every predicted array against its data."""
    charts = [_coefficients(record)]
    for name, model in record.models.items():
        data = record.dataset.arrays.get(name)
        if data is not None and data.shape == model.shape and data.size:
            charts.append(_prediction(name, data.ravel(), model.ravel()))
    return Section("Solution", tuple(charts))


def coefficient_table(record: RunRecord) -> Table | None:
    """The coefficients as numbers, if they are few and have names."""
    x, labels, truth = record.result.x.ravel(), record.result.labels, record.dataset.truth
    if len(labels) != x.size or x.size > MOST_BARS:
        return None
    if truth is None or truth.size != x.size:
        return Table(
            "Coefficients", ("name", "estimate"), tuple((n, f"{v:.6g}") for n, v in zip(labels, x, strict=True))
        )
    rows = zip(labels, x, truth.ravel(), strict=True)
    return Table("Coefficients", ("name", "estimate", "truth"), tuple((n, f"{v:.6g}", f"{t:.6g}") for n, v, t in rows))


def _coefficients(record: RunRecord) -> Chart:
    x, labels, truth = record.result.x.ravel(), record.result.labels, record.dataset.truth
    few = x.size <= MOST_BARS
    places = [float(index) for index in range(x.size)]
    curves = [Curve("estimate", places, x.tolist(), "bars" if few else "line")]
    if truth is not None and truth.size == x.size:
        curves.append(Curve("truth", places, truth.ravel().tolist(), "points"))
    ticks = labels if few and len(labels) == x.size else ()
    return Chart("Coefficients", "" if ticks else "coefficient", "value", tuple(curves), ticks=tuple(ticks))


def _prediction(name: str, data: Array, model: Array) -> Chart:
    stride = max(1, data.size // _MOST_POINTS)
    data, model = np.asarray(data[::stride], np.float64), np.asarray(model[::stride], np.float64)
    order = np.argsort(model)
    x = model[order].tolist()
    curves = (Curve("data", x, data[order].tolist(), "points"), Curve("data = prediction", x, x, "dashed"))
    return Chart("Data against prediction", f"{name} predicted", f"{name} given", curves)


def weights_section(record: RunRecord) -> Section | None:
    """A chart for each weight that was searched for; None if there is none."""
    searched = [(one, one.curve) for one in record.weights if one.curve is not None]
    if not searched:
        return None
    return Section("Weights from the data", tuple(_chart(one, curve) for one, curve in searched))


def _chart(chosen: ChosenWeight, curve: SearchCurve) -> Chart:
    """The criterion against the logarithm of the weight, since the x axes of the page are linear."""
    order = np.argsort(curve.weights)
    u, values = np.log10(np.asarray(curve.weights))[order].tolist(), np.asarray(curve.values)[order].tolist()
    ends = (min(values), max(values))
    lines = [Curve(curve.quantity, u, values, "bold")]
    if chosen.weight > 0.0:
        at = float(np.log10(chosen.weight))
        lines.append(Curve(f"chosen: {chosen.weight:.4g}", [at, at + 1e-9], list(ends), "line"))
    if chosen.uncertainty is not None:
        for limit, word in zip(chosen.uncertainty, ("from", "to"), strict=True):
            at = float(np.log10(limit))
            lines.append(Curve(f"{word} {limit:.3g}", [at, at + 1e-9], list(ends), "dashed"))
    label = f"logarithm (base 10) of the weight of {chosen.term}"
    return Chart(f"Weight of {chosen.term}: {chosen.method}", label, curve.quantity, tuple(lines), note=chosen.note)


_METHODS = {
    "bootstrap": "The bias estimated by the bootstrap is subtracted; the interval is that of its solutions.",
    "counts": "The fractions are those of the fused maps; the interval includes their deviation from the counts.",
}


def composition_table(record: RunRecord) -> Table | None:
    """Fractions of each region with their intervals; None if not requested."""
    if not record.compositions:
        return None
    first = record.compositions[0]
    rows = []
    for each in record.compositions:
        (top, bottom), (left, right) = each.region.rows, each.region.columns
        intervals = zip(each.fractions, each.low, each.high, strict=True)
        cells = [f"{100 * value:.2f} % ({100 * low:.2f} – {100 * high:.2f})" for value, low, high in intervals]
        if each.mass_thickness is not None:
            cells.append("{:.3g} ({:.3g} – {:.3g})".format(*(1e6 * value for value in each.mass_thickness)))
        rows.append((each.region.name, f"{top} – {bottom}, {left} – {right}", *cells))
    last = () if first.mass_thickness is None else ("mass-thickness, mg/m²",)
    note = f"{first.quantity.capitalize()} with intervals of {100 * first.interval:g} %. {_METHODS[first.method]}"
    if "atomic" not in first.quantity:
        note += " Atomic fractions need composition.k_factors or zeta_factors."
    return Table("Composition", ("region", "rows, columns", *first.elements, *last), tuple(rows), note)
