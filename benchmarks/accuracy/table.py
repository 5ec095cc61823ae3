"""Tables in Markdown, and the names that methods have in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

NAMES = {
    "raw": "raw maps",
    "gaussian": "Gaussian filter*",
    "gaussian_cv": "Gaussian filter, cross-validated",
    "bm3d": "BM3D",
    "nlm": "non-local means*",
    "factors": "factors*",
    "guided": "guided filter*",
    "jnl": "low-rank patches",
    "jnl_h": "low-rank patches with the image",
    "pca": "PCA*",
    "reference": "multimodal-fusion*",
    "auto": "fusionkit, TV",
    "best_tv": "fusionkit, best TV*",
    "joint_tgv": "fusionkit, joint TGV",
    "cos_adaptive": "fusionkit, adaptive",
    "structure_tensor_tv": "fusionkit, guided TV",
    "drop_haadf": "without the image",
    "drop_haadf_auto": "without the image, TV weight chosen again",
    "drop_poisson": "without the counts",
    "drop_tv": "without TV",
    "fuse": "`fk.fuse`",
    "file_cos_adaptive": "`cos_adaptive`",
    "file_cos_adaptive_alone": "`cos_adaptive` without the image",
    "file_cos_nonlocal": "`cos_nonlocal`",
    "file_cos_nonlocal_alone": "`cos_nonlocal` without the image",
}
Table = Iterator[Sequence[str]]


def table(title: str, head: Sequence[str], rows: Table, note: str = "") -> str:
    """A section with one table."""
    lines = [f"## {title}", "", *([note, ""] if note else [])]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"
