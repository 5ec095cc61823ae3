"""The errors that a user can cause, each one line: where, what is wrong, what would do."""

from __future__ import annotations


class UserError(Exception):
    """Input that cannot be used; its text is ``where: problem; remedy`` on one line.

    Parameters
    ----------
    where : the config key (``terms[0].gamma``) or the file that is at fault.
    problem : what is wrong with it.
    remedy : what would do instead; may be empty where the problem says it.
    """

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        text = f"{where}: {problem}" + (f"; {remedy}" if remedy else "")
        super().__init__(" ".join(text.split()))


class RefusalError(UserError):
    """A solver cannot take a term: names the term, the reason and the solvers that can."""


class FusionkitWarning(UserWarning):
    """Something that the user should know but that does not stop the run (a step that breaks its condition, say)."""


# what a run can end with that is nobody's defect
EXPECTED = (UserError, MemoryError, ModuleNotFoundError, OSError)


def one_line(error: BaseException) -> str:
    """One of the errors `EXPECTED` in one line: where, what is wrong, what would do."""
    if isinstance(error, MemoryError):
        said = f"memory: the machine has too little ({error}); take smaller data or close other programs"
    elif isinstance(error, ModuleNotFoundError):  # of a plug-in, or of a library that only some commands need
        told = f"there is no module '{error.name}'; install the package that has it" if error.name else str(error)
        said = f"installation: {told}"
    elif isinstance(error, OSError):  # a disk that fills up, a file that vanishes
        said = f"{error.filename or 'system'}: {error.strerror or error}; check the disk and the permissions"
    else:
        said = str(error)
    return " ".join(said.split())
