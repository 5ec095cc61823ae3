"""Which of RosettaSciIO's readers a file gets, by its suffix."""

from __future__ import annotations

from pathlib import Path

from fusionkit.errors import UserError
from fusionkit.microscope.damaged_files import EXTRA

# What RosettaSciIO 0.15 reads, so that the suffixes are known where it is not installed; ``.h5``, ``.hdf5`` and
# ``.npz`` belong to fusionkit's own readers unless ``reader: microscope`` asks for this one.
SUFFIXES = (
    *(".bcf", ".spx", ".emd", ".de5", ".dm3", ".dm4", ".ser", ".emi", ".pts", ".asw", ".map", ".eds", ".img"),
    *(".hspy", ".zspy", ".nxs", ".tif", ".tiff", ".mrc", ".mrcz", ".ali", ".rpl", ".unf", ".blo", ".elid"),
    *(".spd", ".spc", ".lsd", ".msa", ".emsa", ".mas", ".ems", ".nc", ".prz", ".npy", ".mib", ".app5", ".tvips"),
    *(".sur", ".pro", ".dens", ".wdf", ".tvf", ".xml", ".csv", ".sac", ".sbc"),
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm"),
)
# the first to be tried where several take a suffix
_FIRST = ("MRC", "JEOL", "EMD", "HSPY", "USID")


def readers_for(path: Path) -> list[str]:
    """The modules of RosettaSciIO that take files of this suffix, the likeliest first.

    Raises
    ------
    UserError : RosettaSciIO is not installed, or none of its readers takes the suffix.
    """
    try:
        from rsciio import IO_PLUGINS
    except ImportError:
        raise UserError(str(path), "needs RosettaSciIO, which is not installed", EXTRA) from None
    suffix = path.suffix.lower().removeprefix(".")
    fitting = [one for one in IO_PLUGINS if suffix in {known.lower() for known in one["file_extensions"]}]
    if not fitting:
        raise UserError(str(path), f"RosettaSciIO reads no '{path.suffix}' files", "save it as .hspy, .tif or .npz")
    return [one["api"] for one in sorted(fitting, key=lambda one: one["name"] not in _FIRST)]
