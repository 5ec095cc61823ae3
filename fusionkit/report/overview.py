"""A run in the words of microscopy: what was recorded, what came of it, and whether to believe it."""

import numpy as np

from fusionkit.results.record import RunRecord, percent


def overview(record: RunRecord) -> list[tuple[str, str]]:
    """Name and text of each line: verdict, reasons, counts of each element, recording and image."""
    verdict = record.verdict
    lines = [] if verdict is None else [("verdict", verdict.level), *(("because", text) for text in verdict.reasons)]
    lines += [(name, one.spell()) for name, one in record.counts.items()]
    if record.counts:
        lines.append(("recording", ", ".join(recording(record))))
    explained = None if verdict is None else verdict.measures.get("explained_haadf")
    if explained is not None:
        share = f"the maps explain {percent(max(explained, 0.0))} of its variance"
        is_unused = record.term_weights.get("haadf", 1.0) == 0.0
        lines.append(("image", share + (", but it was left out as data" if is_unused else "")))
    return lines


def recording(record: RunRecord) -> list[str]:
    """Pixels, pixel size and dose."""
    dataset, shape = record.dataset, record.result.x.shape
    facts = [f"{shape[-2]} x {shape[-1]} pixels"]
    if dataset.pixel_size is not None:
        facts[0] += f" of {dataset.pixel_size:.4g} {dataset.units or ''}".rstrip()
    pixels, measured = record.result.x[0].size, ""
    if "maps" in dataset.masked:
        pixels, measured = int(np.isfinite(dataset.arrays["maps"]).any(axis=0).sum()), " that was measured"
    dose = sum(one.net for one in record.counts.values() if one.unit) / max(pixels, 1)
    return facts + ([f"{dose:.3g} net counts a pixel{measured}"] if dose > 0.0 else [])
