"""Facts of a recording, of those that its images say: what holds for one image alone is left out."""

from __future__ import annotations

from collections.abc import Sequence

from fusionkit.data.names import element_named, is_image
from fusionkit.data.readers import RawArray


def recording_facts(images: Sequence[RawArray]) -> dict[str, float | str]:
    """The facts of all images, those of earlier ones first; a title where it is no single map's or image's."""
    facts: dict[str, float | str] = {}
    for one in reversed(images):
        facts |= one.metadata
    titles = {str(one.metadata["title"]) for one in images if "title" in one.metadata}
    common = [title for title in titles if not _is_of_one(title)]
    facts.pop("title", None)
    return facts | ({"title": common[0]} if len(common) == 1 else {})


def _is_of_one(title: str) -> bool:
    """``Co``, ``Co Ka1`` or ``HAADF``; ``STEM of a particle`` may be everything's."""
    return element_named(title) is not None or (is_image(title) and len(title.split()) == 1)
