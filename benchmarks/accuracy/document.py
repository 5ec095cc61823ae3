"""The tables in Markdown: targets first, then the measurements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.accuracy.bars import JUDGED_METHODS, bars, ratio, ratios_by_element
from benchmarks.accuracy.comparison import comparison
from benchmarks.accuracy.methods import (
    ABLATION,
    ADAPTIVE,
    AUTO,
    GAMMAS,
    GAUSSIAN,
    GUIDED,
    INTERVALS,
    MAIN,
    REFERENCE,
    REGULARISERS,
)
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.studies import RIVALS, Extent
from benchmarks.accuracy.table import NAMES, Table, table

_BEGIN, _BEGIN_RIVALS, _END = "<!-- measured -->", "<!-- measured: rivals -->", "<!-- end of measured -->"


def tables(studies: Mapping[str, Rows], extent: Extent) -> str:
    """All tables in Markdown.

    Parameters
    ----------
    studies : the rows of each measured part.
    extent : size of the measurement.
    """
    judged = list(bars(studies))
    head = ["quantity", "target", *(NAMES[method] for method in JUDGED_METHODS)]
    parts = [table("Targets", head, (bar.row() for bar in judged))] if judged else []
    if RIVALS in studies:
        parts.append(comparison(studies[RIVALS]))
    if "headline" in studies:
        parts.append(_headline(studies["headline"], extent))
    if "main" in studies:
        parts += [_errors(studies["main"], extent), _others(studies["main"]), _gaussian(studies["main"])]
    if "intervals" in studies:
        parts.append(_intervals(studies["intervals"]))
    if "ablation" in studies:
        parts.append(_ablation(studies["ablation"]))
    if "gamma" in studies:
        parts.append(_sweep(studies["gamma"]))
    if "regularisers" in studies:
        parts.append(_regularisers(studies["regularisers"]))
    return "\n".join(parts)


def write_docs(studies: Mapping[str, Rows], extent: Extent, path: Path) -> None:
    """Replace the tables between the marks of the page; the rest is written by hand.

    The comparison with other methods has its own marks, so that it can be updated alone.
    """
    page = path.read_text(encoding="utf-8")
    others = {name: rows for name, rows in studies.items() if name != RIVALS}
    for begin, part in ((_BEGIN, others), (_BEGIN_RIVALS, {name: studies[name] for name in studies if name == RIVALS})):
        if part:
            before, _, rest = page.partition(begin)
            _, _, after = rest.partition(_END)
            page = f"{before}{begin}\n\n{tables(part, extent)}\n{_END}{after}"
    path.write_text(page, encoding="utf-8")


def _headline(rows: Rows, extent: Extent) -> str:
    def lines() -> Table:
        for dose in rows.values("dose"):
            for method in rows.values("method"):
                one = rows.of(dose=dose, method=method)
                each = " / ".join(f"{value:.3f}" for value in one.by_element("nrmse"))
                beside = f"{ratio(rows.of(dose=dose), method, REFERENCE):.2f}"
                yield [f"{dose:g}", NAMES[method], f"{one.mean('mean'):.4f}", beside, each, *_quality(one)]

    elements = " / ".join(rows.rows[0]["elements"])
    head = [
        "counts",
        "method",
        "NRMSE",
        "/ reference's",
        elements,
        "PSNR",
        "SSIM",
        "stoichiometry",
        "pixel composition",
    ]
    note = f"Means over {extent.seeds} seeds."
    return table(f"Nanoparticle, {extent.headline} × {extent.headline}", head, lines(), note)


def _quality(rows: Rows) -> list[str]:
    return [
        f"{rows.mean('psnr'):.1f} dB",
        f"{rows.mean('ssim'):.3f}",
        f"{100 * rows.mean('stoichiometry'):.2f} %",
        f"{100 * rows.mean('composition'):.1f} %",
    ]


def _errors(rows: Rows, extent: Extent) -> str:
    def lines() -> Table:
        for specimen in rows.values("specimen"):
            for dose in rows.values("dose"):
                found = {method: rows.of(specimen=specimen, dose=dose, method=method) for method in MAIN}
                lowest = min(found, key=lambda method: found[method].mean("nrmse"))
                cells = []
                for method, one in found.items():
                    spread = f" ± {one.spread('nrmse'):.4f}" if method == AUTO and len(one.rows) > 1 else ""
                    cells.append(f"{one.mean('nrmse'):.4f}{spread}")
                    cells[-1] = f"**{cells[-1]}**" if method == lowest else cells[-1]
                yield [specimen, f"{dose:g}", *cells]

    head = ["specimen", "counts", *(NAMES[method] for method in MAIN)]
    note = f"Mean over elements and {extent.seeds} seeds, {extent.size} × {extent.size}; the lowest in a row is bold."
    return table("NRMSE", head, lines(), note)


def _others(rows: Rows) -> str:
    def lines() -> Table:
        for specimen in rows.values("specimen"):
            for dose in rows.values("dose"):
                for method in (GAUSSIAN, REFERENCE, AUTO, GUIDED, ADAPTIVE):
                    yield [
                        specimen,
                        f"{dose:g}",
                        NAMES[method],
                        *_quality(rows.of(specimen=specimen, dose=dose, method=method)),
                    ]

    head = ["specimen", "counts", "method", "PSNR", "SSIM", "stoichiometry", "pixel composition"]
    return table("PSNR, SSIM and composition", head, lines())


def _gaussian(rows: Rows) -> str:
    def lines() -> Table:
        for specimen in rows.values("specimen"):
            chosen = rows.of(specimen=specimen)
            for index, element in enumerate(chosen.rows[0]["elements"]):
                for method in JUDGED_METHODS:
                    found = [ratios_by_element(chosen.of(dose=dose), method)[index] for dose in rows.values("dose")]
                    cells = (f"**{value:.2f}**" if value > 1.0 else f"{value:.2f}" for value in found)
                    yield [specimen, element, NAMES[method], *cells]

    head = ["specimen", "element", "method", *(f"{dose:g} counts" for dose in rows.values("dose"))]
    note = "NRMSE over that of the best Gaussian filter for the element; values above 1 are bold."
    return table("Against the Gaussian filter", head, lines(), note)


def _intervals(rows: Rows) -> str:
    def lines() -> Table:
        for specimen in rows.values("specimen"):
            for dose in rows.values("dose"):
                found = [rows.of(specimen=specimen, dose=dose, method=method) for method in INTERVALS]
                shares = (" / ".join(f"{100 * value:.0f}" for value in one.by_element("coverage")) for one in found)
                yield [specimen, f"{dose:g}", *shares]

    note = "Share in per cent of the pixels with the element whose truth lies within the interval, for each element."
    return table("Coverage of 90 % intervals", ["specimen", "counts", *INTERVALS], lines(), note)


def _ablation(rows: Rows) -> str:
    def lines() -> Table:
        for method in (AUTO, *ABLATION):
            one = rows.of(method=method)
            each = " / ".join(f"{value:.3f}" for value in one.by_element("nrmse"))
            yield [NAMES[method], f"{one.mean('mean'):.4f}", each, *_quality(one)]

    elements, dose = " / ".join(rows.rows[0]["elements"]), rows.values("dose")[0]
    head = ["terms", "NRMSE", elements, "PSNR", "SSIM", "stoichiometry", "pixel composition"]
    return table(f"One term dropped, nanoparticle, {dose:g} counts", head, lines())


def _sweep(rows: Rows) -> str:
    def lines() -> Table:
        for gamma in GAMMAS:
            found = [rows.of(method=f"gamma_{gamma:.1f}{suffix}") for suffix in ("", "_units")]
            yield [f"{gamma:.1f}", *(f"{one.mean('nrmse'):.4f}" for one in found)]
        yield ["fitted between 1.4 and 2, with a gain", "", f"{rows.of(method='gamma_fitted').mean('nrmse'):.4f}"]

    head = ["gamma of the model", "NRMSE, image scaled to the maps", "NRMSE, image in the units of gamma = 1.7"]
    return table(f"The exponent, nanoparticle, {rows.values('dose')[0]:g} counts", head, lines())


def _regularisers(rows: Rows) -> str:
    methods = (AUTO, *REGULARISERS)

    def lines() -> Table:
        compared: dict[str, list[float]] = {method: [] for method in methods}
        for specimen in rows.values("specimen"):
            for dose in rows.values("dose"):
                here = rows.of(specimen=specimen, dose=dose)
                errors = {method: here.of(method=method).mean("nrmse") for method in (GAUSSIAN, *methods)}
                for method in methods:
                    compared[method] += ratios_by_element(here, method)
                lowest = min(methods, key=errors.__getitem__)
                cells = {method: f"{error:.4f}" for method, error in errors.items()}
                cells[lowest] = f"**{cells[lowest]}**"
                yield [specimen, f"{dose:g}", *cells.values()]
        held = (f"{sum(value <= 1.0 for value in found)} of {len(found)}" for found in compared.values())
        yield ["elements not worse than by the Gaussian filter", "", "", *held]
        yield ["worst ratio to the Gaussian filter", "", "", *(f"{max(found):.2f}" for found in compared.values())]

    head = ["specimen", "counts", NAMES[GAUSSIAN], "tv", *REGULARISERS]
    note = (
        f"One seed, {rows.values('size')[0]} × {rows.values('size')[0]}, `weight: auto`; the lowest in a row is bold."
    )
    return table("Other penalties", head, lines(), note)
