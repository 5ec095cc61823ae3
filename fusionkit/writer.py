"""The output folder of a run: the result first, whole and synced; then what is made from it, as far as it succeeds."""

import gc
import itertools
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial as bind
from pathlib import Path
from traceback import extract_tb

from fusionkit.config.yaml import dump
from fusionkit.data.new_file import whole_file
from fusionkit.errors import FusionkitWarning, UserError, describe_fault, file_errors, reason
from fusionkit.results import result_file
from fusionkit.results.lock import parents_of
from fusionkit.results.record import RunRecord
from fusionkit.results.summary import INCOMPLETE, summarise, to_json

SUMMARY = "summary.json"
CONFIG = "config.resolved.yaml"
REPORT = "report.html"
_LARGE = 500_000  # values of maps


def check_output(folder: Path, overwrite: bool) -> None:
    """Refuse an output folder that could not be written at the end of the run, or that must not be replaced.

    `UserError` if it is a file, the current folder, a folder with contents other than a former run that ``overwrite``
    permits to replace, or cannot be made.
    """
    where = str(folder)
    try:
        target = folder.resolve()
        _check_contents(target, overwrite, where)
        parent = next(parent for parent in target.parents if parent.exists())
    # the name is too long, holds a zero byte, is in an unreadable folder, or is a link to itself
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(where, f"cannot be an output folder: {reason(error)}", "choose another name") from error
    if not parent.is_dir():
        raise UserError(where, f"cannot be made, since {parent} is a file", "choose another folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(where, f"cannot be made, since {parent} is not writable", "choose another folder")


def _check_contents(target: Path, overwrite: bool, where: str) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise UserError(where, "is a file", "choose another folder")
    here = Path.cwd()
    if target in (here, *here.parents):
        raise UserError(where, "is the current folder or one above it", "name a folder inside the current one")
    if not any(target.iterdir()):
        return
    is_run = (target / SUMMARY).is_file() and (target / result_file.NAME).is_file()
    if not is_run:
        raise UserError(where, "holds something other than a former run", "choose another folder")
    if not overwrite:
        raise UserError(where, "holds a former run", "choose another folder, or replace it with --overwrite")


def write(
    run: RunRecord,
    folder: Path,
    overwrite: bool,
    figures: bool,
    report: bool,
    formats: Sequence[str] = (),
    complete: Callable[[RunRecord], RunRecord] | None = None,
) -> RunRecord:
    """Write a run: ``result.h5`` and its config first, as a folder that appears whole, then the rest.

    Whatever of the rest fails is a `FusionkitWarning`. A result that cannot be written to its folder goes to a folder
    beside it, or to one for temporary files. `UserError` as by `check_output`, or if the disk cannot be written; it
    names the place of the result if there is one.

    Parameters
    ----------
    run : the run.
    folder : the output folder; its parents are made.
    overwrite : whether a former run there may be replaced.
    figures : whether to draw ``maps.png`` and ``convergence.png``, ``weights.png`` if a weight was searched,
        ``spectrum.png`` for spectra with a model, and ``uncertainty.png`` if error bars were estimated.
    report : whether to write ``report.html``.
    formats : of other programs, names of writers: ``hspy`` writes ``maps.hspy``.
    complete : adds error bars and diagnostics once the result is written.

    Returns
    -------
    The run as written.
    """
    start = time.perf_counter()
    config = dump(run.resolved_config)
    place, problem = _keep(run, config, folder, overwrite)
    rest = _Rest(place, config)
    if complete is not None:
        run = rest.complete(run, complete)
    if figures:
        rest.draw(run)
    if report:
        rest.report(run)
    if formats:
        rest.export(run, formats)
    run = replace(run, warnings=(*run.warnings, *rest.failures))
    # measured when it is written, which may fail where files cannot be opened
    rest.file(SUMMARY, lambda path: _write_text(to_json(summarise(run, time.perf_counter() - start)), path))
    if problem is not None:
        raise UserError(problem.where, problem.problem, f"the result is in {place}") from problem
    return run


def _keep(run: RunRecord, config: str, folder: Path, overwrite: bool) -> tuple[Path, UserError | None]:
    """Write the result into its folder, or else into another one; its place, and why it is not ``folder``."""
    first: UserError | None = None
    for place in _places(folder):
        try:
            with whole_folder(place, overwrite and place == folder) as partial:
                result_file.write_result(run, config, partial / result_file.NAME)
                _write_text(config, partial / CONFIG)
                _write_text(to_json({**summarise(run, 0.0), INCOMPLETE: True}), partial / SUMMARY)
        except UserError as error:
            first = first or error
        else:
            return place, first
    assert first is not None
    raise first


def _places(folder: Path) -> Iterator[Path]:
    """The folder, a free name beside it, and one in a new temporary folder."""
    yield folder
    with suppress(OSError, ValueError, RuntimeError):
        target = folder.resolve()
        others = (target.with_name(f"{target.name[:60]}-{number}") for number in itertools.count(2))
        yield next(path for path in others if not os.path.lexists(path))
        temporary = Path(tempfile.mkdtemp(prefix="fusionkit-"))
        try:
            yield temporary / (target.name[:60] or "run")
        finally:
            with suppress(OSError):
                temporary.rmdir()  # unless it holds the result


class _Rest:
    """All that is made from the result in a folder, with its config as YAML text; each part as far as it succeeds."""

    def __init__(self, folder: Path, config: str) -> None:
        self._folder, self._config, self.failures = folder, config, list[str]()

    def complete(self, run: RunRecord, complete: Callable[[RunRecord], RunRecord]) -> RunRecord:
        """The run with error bars and diagnostics, written again if there are error bars."""
        whole = run
        with self._tolerant("the error bars and diagnostics are missing"):
            whole = complete(run)
        if whole.uncertainty is not None or whole.compositions:
            self.file(result_file.NAME, bind(result_file.write_result, whole, self._config))
        return whole

    def draw(self, run: RunRecord) -> None:
        """Write the figures."""
        with self._tolerant("the figures were not drawn"):
            from fusionkit.report.figures.save import figures_of, save

            for name, draw in figures_of(run).items():
                self.file(name, lambda path, draw=draw: save(draw(), path))
        if run.result.x.size > _LARGE:
            gc.collect()  # figures and their images, 120 MB, refer to each other

    def report(self, run: RunRecord) -> None:
        """Write the report."""

        def render_page(path: Path) -> None:
            from fusionkit.report.html import render
            from fusionkit.report.run_page import run_page

            _write_text(render(run_page(run, self._folder.resolve().name)), path)

        self.file(REPORT, render_page)

    def export(self, run: RunRecord, formats: Sequence[str]) -> None:
        """Write the maps in the formats of other programs."""
        with self._tolerant("the maps were not exported"):
            from fusionkit.export.content import content_of
            from fusionkit.export.writers import STEM, export, writer_of

            deviation = None if run.uncertainty is None else run.uncertainty.standard_deviation
            content = content_of(run.result, run.dataset, self._config, deviation)
            for name in formats:
                with self._tolerant(f"the maps were not exported as {name}"):
                    writer = writer_of(name, "output.formats")
                    export(content, self._folder / f"{STEM}{writer.suffixes[0]}", writer)

    def file(self, name: str, make: Callable[[Path], None]) -> None:
        """Make a file, which appears whole or not at all."""
        with self._tolerant(f"{name} was not written"), whole_file(self._folder / name) as partial:
            make(partial)

    @contextmanager
    def _tolerant(self, what: str) -> Iterator[None]:
        """Turn a failure into a warning: the result is already written, and other parts may succeed."""
        try:
            with file_errors(what):
                yield
            return
        except UserError as error:
            why = error.problem
        except MemoryError:
            why = "the machine has too little memory"
        except Exception as fault:  # noqa: BLE001 - a fault of ours, of a plug-in or of a library costs no other part
            is_style = "matplotlib" in Path(extract_tb(fault.__traceback__)[-1].filename).parts  # the user's
            why = f"matplotlib: {fault}" if is_style else describe_fault(fault)
        self.failures.append(" ".join(f"{what}: {why}".split()))
        warnings.warn(self.failures[-1], FusionkitWarning, stacklevel=3)


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


@contextmanager
def whole_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a new folder, which takes the place of ``folder`` and a former run there, or not at all."""
    check_output(folder, overwrite)
    target = folder.resolve()
    with file_errors(str(folder)), parents_of(target), whole_file(target, overwrite) as partial:
        partial.mkdir()
        yield partial
