"""The page of one run: from its record to what is shown."""

from __future__ import annotations

from fusionkit.config.yaml import dump
from fusionkit.report.content import Page, Section, Table
from fusionkit.report.convergence import convergence_section
from fusionkit.report.figures.status import STATUS_WORDS
from fusionkit.report.maps import MOST, field_of_view, gallery, unknown_maps
from fusionkit.report.residuals import residual_section
from fusionkit.report.tables import composition_table
from fusionkit.report.vector import coefficient_table, vector_section
from fusionkit.report.weights import weights_section
from fusionkit.result import Status
from fusionkit.results.record import Diagnostic, RunRecord
from fusionkit.results.summary import versions


def run_page(record: RunRecord, name: str) -> Page:
    """What the report of a run shows.

    Parameters
    ----------
    record : the run.
    name : of the run, its output folder's.
    """
    result, dataset = record.result, record.dataset
    shown = gallery(record)
    pixels, width = field_of_view(record)
    has_maps = unknown_maps(result.x) is not None
    own = None if has_maps else vector_section(record)
    coefficients = None if has_maps else coefficient_table(record)
    sections: list[Section | None] = [
        own,
        residual_section(record),
        weights_section(record),
        convergence_section(record),
    ]
    return Page(
        title=name,
        subtitle=dataset.source,
        verdict=STATUS_WORDS[result.status],
        good=result.status is Status.CONVERGED,
        facts=_facts(record),
        diagnostics=_sentences(record),
        panels=shown.panels,
        images=shown.images,
        derived=shown.derived,
        pixels=pixels,
        field_width=width,
        units=dataset.units,
        sections=tuple(section for section in sections if section is not None),
        tables=tuple(table for table in (coefficients, composition_table(record), _terms(record)) if table is not None),
        details=(Table("Versions", ("library", "version"), tuple(versions().items())),),
        texts=(("Resolved configuration", dump(record.resolved_config)),),
        footer=f"Written by fusionkit {versions()['fusionkit']}.",
    )


def _facts(record: RunRecord) -> tuple[tuple[str, str], ...]:
    result, dataset = record.result, record.dataset
    solver = record.resolved_config.get("solver", {}).get("type", "")
    facts = {
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
        found = record.uncertainty
        facts["error bars"] = f"{found.method}, {found.seconds:.2f} s"
    if dataset.pixel_size is not None:
        facts["pixel"] = f"{dataset.pixel_size:.4g} {dataset.units or ''}".strip()
    return tuple((name, value) for name, value in facts.items() if value)


def _sentences(record: RunRecord) -> tuple[Diagnostic, ...]:
    """Warnings first: of the diagnosis and of the run, then the notes of diagnosis, data and solver."""
    result, dataset = record.result, record.dataset
    said = [Diagnostic("warning", text) for text in record.warnings]
    notes = [Diagnostic("note", text) for text in (*dataset.notes, *result.notes)]
    maps = unknown_maps(result.x)
    if maps is not None and maps.shape[0] > MOST:
        notes.append(Diagnostic("note", f"Only the first {MOST} of {maps.shape[0]} maps are shown."))
    every = (*record.diagnostics, *said, *notes)
    return tuple(sorted(dict.fromkeys(every), key=lambda each: each.level != "warning"))


def _terms(record: RunRecord) -> Table:
    result = record.result
    rows = tuple(
        (name, f"{record.term_weights[name]:g}" if name in record.term_weights else "–", f"{value:.8g}")
        for name, value in result.terms.items()
    )
    return Table("Objective", ("term", "weight", "weighted value"), (*rows, ("sum", "", f"{result.objective:.8g}")))
