"""A config for recordings that runs unedited: image, maps or spectra, units and weights from the data.

The terms are those of `fusionkit.microscope.propose.default_terms`.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusionkit.arrays import Array
from fusionkit.config.yaml import dump_line
from fusionkit.data.counts.convert import counted
from fusionkit.data.counts.kind import guess
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import normalise
from fusionkit.data.mask import unvisited
from fusionkit.data.open_files import OpenFiles
from fusionkit.data.options import DataOptions
from fusionkit.data.prepare.spec import Step, carry_out
from fusionkit.data.readers import Recording
from fusionkit.data.recording import load_file
from fusionkit.engines.choose import SMALL
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.propose.default_terms import Proposal, default_terms
from fusionkit.microscope.propose.places import OtherStacks, places
from fusionkit.microscope.propose.sources import EVERYTHING, Choice, Mappings, sources
from fusionkit.options import parse

# sums of maps within 0.6 % of those at 1e-5 (TiO2/Pd recording), in a fifth of the iterations that 5e-4 takes
_TOLERANCE = 1e-3


def propose(
    recordings: Mapping[Path, Recording], folder: Path, reader: str | None = None, choice: Choice = EVERYTHING
) -> str:
    """The config, YAML text.

    `UserError` if the files hold no image, or no maps and no spectrum image whose elements are known.

    Parameters
    ----------
    recordings : the opened files.
    folder : of the config; the files are named relative to it.
    reader : name of the reader; None if the suffixes select it.
    choice : of signals, elements and pixels.
    """
    data, scans, same_technique = sources(recordings, folder, reader, choice)
    options = parse(DataOptions, {**data, "grid": "haadf"}, "data")  # a grid permits any shapes
    files = OpenFiles(folder, options.path, options.reader, "data", recordings)
    read = load_file(options, folder, "data", files)
    if "spectra" not in data:  # those of spectra report their counts
        for note in read.notes:
            warnings.warn(note, FusionkitWarning, stacklevel=2)
    _check_backgrounds(read, recordings)
    # whole numbers may be counts times a whole number
    units: Mappings = {"maps_are": "rates"} if guess(read.arrays["maps"]) == "rates" else {}
    dataset = carry_out(read, options.prepare, "data.prepare")
    parts, crops = places(dataset.scan(dataset.arrays["haadf"].shape), scans)
    if crops:
        data["prepare"] = [*data.get("prepare", ()), *crops]
        dataset = carry_out(dataset, [parse(Step, step, "data.prepare") for step in crops], "data.prepare")
    data |= units
    if "maps_are" in units:
        dataset = counted(dataset, "rates")
    dataset = normalise(dataset, parse(DataOptions, {**data, "grid": "haadf"}, "data"), "data")
    count = unvisited(dataset.arrays["maps"], dataset.arrays["haadf"])
    if count:  # proposed, not assumed
        share = f"{count} of {dataset.arrays['maps'][0].size} pixels hold no count, though the image is not dark there"
        warnings.warn(f"{share}: if the scan left them out, use the line 'mask'", FusionkitWarning, stacklevel=2)
        data["# mask"] = {"maps": "empty"}
    proposal = default_terms(dataset, False, others=OtherStacks(parts, same_technique))
    if (proposal.offset, proposal.scale) != (0.0, 1.0):
        data["haadf"] = {**data["haadf"], "offset": proposal.offset, "scale": proposal.scale}
    if proposal.grid is not None:
        data["grid"] = proposal.grid
    return "\n".join(_lines(data, proposal, recordings, read.arrays)) + "\n"


def _check_backgrounds(dataset: Dataset, recordings: Mapping[Path, Recording]) -> None:
    """`UserError` where a background is negative, which no model of counts allows."""
    for name, array in dataset.arrays.items():
        if name.endswith("_background") and float(array.min()) < 0.0:
            problem = "the spectra hold negative values, as after a subtraction"
            remedy = "use the spectra as recorded, or write the config by hand, with background: none"
            raise UserError(", ".join(map(str, recordings)), problem, remedy)


def _lines(
    data: Mappings, proposal: Proposal, recordings: Mapping[Path, Recording], arrays: Mapping[str, Array]
) -> list[str]:
    files = ", ".join(path.name for path in recordings)
    lines = [
        f"# Fusion of {files}, written by fusionkit inspect. Each auto is chosen from the data of the run.",
        "version: 1",
    ]
    lines.append("data:")
    for key, value in data.items():
        if key == "spectra":
            lines.append("  spectra:")
            for name, source in value.items():
                remark = _evidence(source.get("elements", ()), arrays.get(f"{name}_spectrum"))
                lines += [f"    {name}:{remark}", *(f"      {k}: {dump_line(v)}" for k, v in source.items())]
        elif key == "maps":
            lines += ["  maps:", *(f"    {k}: {_short(v)}" for k, v in value.items())]
        else:
            remark = "" if key == "haadf" and "offset" not in value else _REMARKS.get(key, "")
            if key == "prepare":
                reasons = {
                    "of" in step: "the field of the other scan" if "of" in step else "the region" for step in value
                }
                remark = f"  # crops to {' and '.join(reasons.values())}"
            lines.append(f"  {key}: {_short(value)}{remark}")
    lines += ["terms:", *(f"  - {dump_line(term)}{remark}" for term, remark in proposal.terms)]
    solver = dump_line({"type": "auto", "max_iterations": 2000, "tolerance": _TOLERANCE})
    lines.append(f"solver: {solver}  # for a first look; 1.0e-4 for numbers")
    if proposal.size < SMALL:
        lines.append("engine: numpy  # for so few values faster than compiling kernels")
    return lines


def _evidence(elements: Sequence[str], spectrum: Array | None) -> str:
    """A remark about counts in sets of channels; ``spectrum`` as in `fusionkit.data.spectra.ElementMaps`."""
    if spectrum is None:
        return "  # counts in windows"
    sums = zip(elements, spectrum[4 : 4 + len(elements)].sum(axis=1), strict=True)
    counts = ", ".join(f"{element} {count:.0f}" for element, count in sums)
    return f"  # counts in sets of channels, lines may overlap; the whole scan has {counts}"


_REMARKS = {
    "haadf": "  # the values used are (value - offset) * scale",
    "grid": "  # whose pixels the fused maps have",
    "# mask": "  # for a scan that did not visit the pixels without counts",
    "maps_are": "  # counts times an unknown factor, which is estimated: the fused maps are in counts",
}


def _short(value: Any) -> str:
    return dump_line(value["signal"] if isinstance(value, dict) and set(value) == {"signal"} else value)
