"""Errors that the user can mend, in one line (where, what is wrong, what to do), and reports of fusionkit's faults."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# packages of the extra ``io``, which reads and writes the files of other programs
IO = "pip install rosettasciio hyperspy exspy scikit-image tifffile imagecodecs 'zarr<3' sparse"
# sequences of our own colours; other control characters, also those that change the direction of text
_CONTROL = re.compile("\x1b\\[(?:0|1|3[123])m|[\0-\b\v-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def printable(text: str, coloured: bool = False) -> str:
    """The text with control characters escaped, which a file may hold to take over a terminal; our colours may stay."""
    return _CONTROL.sub(lambda m: m[0] if coloured and len(m[0]) > 1 else m[0].encode("unicode_escape").decode(), text)


class UserError(Exception):
    """Input that cannot be used; its text is ``where: problem; remedy`` on one line.

    Parameters
    ----------
    where : the config key (``terms[0].gamma``) or the file that is at fault.
    problem : what is wrong with it.
    remedy : what to do; may be empty if the problem implies it.
    """

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        text = f"{where}: {problem}" + (f"; {remedy}" if remedy else "")
        super().__init__(printable(" ".join(text.split())))


class RefusalError(UserError):
    """A solver cannot take a term; the text names the term, the reason and the solvers that can."""


class FusionkitWarning(UserWarning):
    """A problem that does not stop the run, such as a step size that breaks its condition."""


@contextmanager
def file_errors(
    where: str, problem: str = "cannot be written", remedy: str = "choose another folder"
) -> Iterator[None]:
    """Turn an ``OSError`` on the user's files into a `UserError`; one on fusionkit's own files is a fault."""
    try:
        yield
    except OSError as error:
        if isinstance(error.filename, str) and Path(error.filename).is_relative_to(Path(__file__).parent):
            raise
        raise UserError(where, f"{problem}: {reason(error)}", remedy) from error


@contextmanager
def author_errors(where: str, method: str) -> Iterator[None]:
    """Turn any exception of an author's code into a `UserError` that names the method and the line that failed."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # foreign code may raise anything
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        line = f" in {Path(last.tb_frame.f_code.co_filename).name}, line {last.tb_lineno}" if last else ""
        raise UserError(
            where, f"{method} fails ({type(error).__name__}: {error}{line})", f"correct {method}"
        ) from error


def reason(error: Exception) -> str:
    """The reason of the operating system, without its number and in lower case."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]


def describe_fault(fault: BaseException) -> str:
    """One line on an exception other than `UserError`, with the path of the file that gets the traceback."""
    # most runs do not need these
    import sys
    import tempfile
    import traceback
    from importlib.metadata import entry_points

    import fusionkit

    points = entry_points(group="fusionkit.plugins")
    owners = {point.module.partition(".")[0]: point.name for point in points}
    frames = [frame for frame, _ in traceback.walk_tb(fault.__traceback__)]
    guilty = [frame for frame in frames if frame.f_globals.get("__name__", "").partition(".")[0] in owners]
    plugins = ", ".join(point.name for point in points)
    if guilty:
        name = guilty[-1].f_globals["__name__"]
        plugins = f"{owners[name.partition('.')[0]]}: {guilty[-1].f_code.co_qualname} of {name}"
    whose = "fusionkit" + (f" or of a plug-in ({plugins})" if plugins else "")
    what = " ".join(f"{type(fault).__name__}: {fault}".split())[:200]
    text = f"fusionkit {fusionkit.__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n"
    text += "".join(traceback.format_exception(fault))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="fusionkit-fault-", suffix=".txt", encoding="utf-8", errors="replace", delete=False
        ) as file:
            file.write(text)
    except OSError as error:
        return f"this is a fault of {whose} ({what}); its traceback could not be saved ({reason(error)}): add --debug"
    return f"this is a fault of {whose} ({what}); please report it with the traceback in {file.name}"
