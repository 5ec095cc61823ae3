"""The tables of a run in Markdown: ratios first, then the measurements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.ratios import ratios, triad_seconds
from benchmarks.records import Records

_INTRODUCTION = (
    "Medians of one run in float32 unless stated otherwise. Gap = (F - F*) / (F0 - F*), with F0 the objective at "
    "x = b. Engine `auto` is the default."
)
Rows = Iterator[Sequence[str]]


def report(run: Records) -> str:
    """All tables in Markdown."""
    sections = [
        ("Ratios", ["ratio", "measured", "target", "met"], (ratio.row() for ratio in ratios(run))),
        ("Memory triad, a = b + s c", ["threads", "GB/s"], _triad(run)),
        ("One iteration of chambolle_pock", ["engine", "size", "ms", "GB/s", "of the triad's time"], _iteration(run)),
        (
            "Seconds (iterations) to a gap",
            ["problem", "solver", "engine", "1e-2", "1e-3", "1e-4", "final optimality"],
            _solvers(run),
        ),
        (
            "multimodal-fusion 0.6.0 and fusionkit",
            ["problem", "program", "seconds", "iterations", "ms per iteration", "objective", "rounds"],
            _reference(run),
        ),
        ("TV denoising to a gap of 1e-4", ["program", "seconds", "iterations", "gap", "rounds"], _denoising(run)),
        ("Run time of a process", ["program", "seconds", "rounds"], _startup(run)),
        (
            "Peak memory in addition to the inputs",
            ["engine", "size", "MiB", "float32 images per map"],
            _memory(run),
        ),
    ]
    parts = [f"# Benchmarks\n\n{run.machine}.\n\n{_INTRODUCTION}\n"]
    for title, head, rows in sections:
        body = [f"| {' | '.join(row)} |" for row in rows]
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body] if body else ["Not measured."]
        parts.append("\n".join([f"## {title}\n", *lines]) + "\n")
    return "\n".join(parts)


def _triad(run: Records) -> Rows:
    for triad in run.of("triad"):
        yield [str(triad.info["threads"]), f"{triad.info['bytes'] / triad.median / 1e9:.1f}"]


def _iteration(run: Records) -> Rows:
    for engine in run.engines("iteration"):
        for one in run.of("iteration", engine=engine):
            shortest = triad_seconds(run, one.info["voxels"])
            times = f"{one.per_iteration / shortest:.2f} x" if shortest else ""
            speed = one.info["bytes"] / one.median / 1e9
            yield [engine, _square(one.info["size"]), f"{1e3 * one.per_iteration:.3g}", f"{speed:.2f}", times]


def _solvers(run: Records) -> Rows:
    for one in sorted(run.of("solvers"), key=lambda r: (r.info["name"], r.info["reached"]["0.0001"] or [1e9])):
        cells = [f"{found[0]:.3g} ({found[1]})" if found else "not reached" for found in one.info["reached"].values()]
        name, optimality = f"{one.info['name']} {_square(one.info['size'])}", f"{one.info['optimality']:.1e}"
        yield [name, one.info["solver"], one.info["engine"], *cells, optimality]


def _reference(run: Records) -> Rows:
    for one in [*run.of("reference", iterations=50), *run.of("certified")]:
        engine = one.info.get("engine")
        program = f"fusionkit {engine}, to a certified 1e-4" if engine else "multimodal-fusion"
        yield [
            f"{one.info['name']} {_square(one.info['size'])}",
            program,
            f"{one.median:.3g}",
            str(one.info["iterations"]),
            f"{1e3 * one.per_iteration:.3g}",
            f"{one.info['objective']:.2f}",
            str(one.rounds),
        ]


def _denoising(run: Records) -> Rows:
    for one in sorted(run.of("denoising"), key=lambda r: r.median):
        count, gap = str(one.info["iterations"]), f"{one.info['gap']:.1e}"
        program = f"{one.info['program']} {_square(one.info['size'])}"
        yield [program, f"{one.median:.3g}", count, gap, str(one.rounds)]


def _startup(run: Records) -> Rows:
    for one in run.of("startup"):
        yield [f"`{one.info['program']}`", f"{one.median:.2f}", str(one.rounds)]


def _memory(run: Records) -> Rows:
    for engine in run.engines("memory"):
        for one in run.of("memory", engine=engine):
            size, images = one.info["size"], f"{one.info['images']:.2f}"
            yield [engine, _square(size), f"{one.info['added'] / 2**20:.1f}", images]


def _square(size: int) -> str:
    return f"{size}²"
