"""The output folder of a run: it appears whole or not at all."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fusionkit.config.yaml import dump
from fusionkit.errors import UserError, file_errors, reason
from fusionkit.results import result_file
from fusionkit.results.record import RunRecord
from fusionkit.results.summary import summarise, to_json

SUMMARY = "summary.json"
CONFIG = "config.resolved.yaml"
REPORT = "report.html"


def check_output(folder: Path, overwrite: bool) -> None:
    """Refuse an output folder that could not be written at the end of the run, or that must not be replaced.

    Parameters
    ----------
    folder : where the run is to be written.
    overwrite : whether a former run there may be replaced.

    Raises
    ------
    UserError : it exists (as a file, or as a folder with contents) and must not be replaced, it is the current
        folder, or the folder cannot be made.
    """
    where = str(folder)
    try:
        target = folder.resolve()
        _check_contents(target, overwrite, where)
        parent = next(parent for parent in target.parents if parent.exists())
    except (OSError, ValueError) as error:  # the name is too long, holds a zero byte or is in an unreadable folder
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
    run: RunRecord, folder: Path, overwrite: bool, figures: bool, report: bool, formats: Sequence[str] = ()
) -> None:
    """Write all files of a run into a new folder, which appears whole or not at all.

    Parameters
    ----------
    run : the run.
    folder : the output folder; its parents are made.
    overwrite : whether a former run there may be replaced.
    figures : whether to draw ``maps.png`` and ``convergence.png``, ``weights.png`` if a weight was searched, and
        ``uncertainty.png`` if error bars were estimated.
    report : whether to write ``report.html``.
    formats : of other programs, names of writers: ``hspy`` writes ``maps.hspy``.

    Raises
    ------
    UserError : as `check_output`, or the disk cannot be written.
    """
    with whole_folder(folder, overwrite) as partial:
        _write_files(run, partial, folder.resolve().name, figures, report, formats)


@contextmanager
def whole_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a new folder to write into, which becomes ``folder`` at the end of the context, or not at all.

    It is a hidden folder beside ``folder`` that is renamed at the end. A former run is moved aside and removed
    afterwards; it is restored if anything fails, an interrupt included.

    Parameters
    ----------
    folder : the output folder; its parents are made.
    overwrite : whether a former run there may be replaced.

    Raises
    ------
    UserError : as `check_output`, or the disk cannot be written.
    """
    check_output(folder, overwrite)
    target = folder.resolve()
    new_parents = [parent for parent in target.parents if not parent.exists()]
    partial = _fresh_sibling(target, "partial")
    try:
        with file_errors(str(folder)):
            partial.mkdir(parents=True)
            yield partial
            _move_into_place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # already renamed on success
        if not target.exists():
            for parent in new_parents:
                with suppress(OSError):  # another process may use it
                    parent.rmdir()


def _write_files(run: RunRecord, folder: Path, name: str, figures: bool, report: bool, formats: Sequence[str]) -> None:
    start = time.perf_counter()
    config = dump(run.resolved_config)
    (folder / CONFIG).write_text(config, encoding="utf-8")
    result_file.write_result(run, config, folder / result_file.NAME)
    if figures:
        from fusionkit.report.figures.save import write_figures

        write_figures(run, folder)
    if report:
        from fusionkit.report.html import render
        from fusionkit.report.run_page import run_page

        (folder / REPORT).write_text(render(run_page(run, name)), encoding="utf-8")
    if formats:
        from fusionkit.export.content import content_of
        from fusionkit.export.writers import write_formats

        deviation = None if run.uncertainty is None else run.uncertainty.standard_deviation
        write_formats(content_of(run.result, run.dataset, config, deviation), formats, folder)
    text = to_json(summarise(run, time.perf_counter() - start))
    (folder / SUMMARY).write_text(text, encoding="utf-8")


def _move_into_place(partial: Path, target: Path) -> None:
    former = _fresh_sibling(target, "former")
    try:
        if target.exists():
            target.rename(former)
        partial.rename(target)
    finally:
        if former.exists():
            if target.exists():
                shutil.rmtree(former, ignore_errors=True)
            else:
                former.rename(target)


def _fresh_sibling(target: Path, purpose: str) -> Path:
    """A free hidden name beside ``target``; a killed run may have left its own behind."""
    stem = f".{target.name[:60]}.{purpose}-{os.getpid()}"
    names = itertools.chain([stem], (f"{stem}-{count}" for count in itertools.count(1)))
    return next(path for path in (target.with_name(name) for name in names) if not path.exists())


def remove_partial(folder: Path, process: int) -> None:
    """Remove what a process killed while writing ``folder`` has left beside it."""
    own = re.compile(rf"\..*\.partial-{process}(-\d+)?")  # not of a process whose number begins with this one
    for left in folder.parent.glob(f".*.partial-{process}*"):
        if own.fullmatch(left.name):
            shutil.rmtree(left, ignore_errors=True)
