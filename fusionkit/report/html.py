"""A `Page` as one self-contained HTML file: style, scripts, chart library and images are inline.

The content is JSON with ``<``, ``>`` and ``&`` escaped, so that no text of a user can close the script element; the
scripts insert text as text, never as HTML.
"""

import html
import json
from dataclasses import asdict, replace
from importlib import resources
from string import Template
from typing import Any

from fusionkit.report.content import Page
from fusionkit.report.images import Pictures, encode_all
from fusionkit.results.summary import plain_json

# each needs only those before it
SCRIPTS = (
    "dom",
    "format",
    "colours",
    "store",
    "images",
    "theme",
    "speech",
    "legend",
    "chart_keys",
    "charts",
    "geometry",
    "layers",
    "pane",
    "gestures",
    "toolbar",
    "overlay",
    "viewer",
    "sampling",
    "profile",
    "page",
)
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def render(page: Page) -> str:
    """The page as HTML."""
    pictures = encode_all(page.images)
    bare = replace(page, images={})
    payload = asdict(bare) | {"images": _headers(pictures), "precision": _precision(pictures)}
    blobs = "\n".join(
        f'<script type="text/plain" id="image-{index}">{each.data}</script>'
        for index, each in enumerate(pictures.images.values())
    )
    scripts = "\n".join(f"<script>\n{_asset(f'js/{name}.js')}</script>" for name in SCRIPTS)
    parts = {
        "title": html.escape(page.title),
        "style": _asset("uplot/uPlot.min.css") + _asset("page.css"),
        "licence": _asset("uplot/LICENSE"),
        "charts": _asset("uplot/uPlot.iife.min.js"),
        "payload": to_script_json(payload),
        "images": blobs,
        "scripts": scripts,
    }
    return Template(_asset("page.html")).substitute(parts)  # does not substitute within what it inserts


def to_script_json(value: Any) -> str:
    """JSON that is safe in a script element; numbers that are not finite become null."""
    plain = plain_json(value, "", [])
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def _headers(pictures: Pictures) -> dict[str, dict[str, Any]]:
    """All but the data of the images, each of which has its own element ``image-<id>``."""
    return {
        key: {"id": index, "ny": p.ny, "nx": p.nx, "low": p.low, "step": p.step, "missing": p.missing, "exact": p.exact}
        for index, (key, p) in enumerate(pictures.images.items())
    }


def _precision(pictures: Pictures) -> str:
    """A sentence on the precision of the numbers in the images."""
    if not pictures.images:
        return ""
    exact = [picture.exact for picture in pictures.images.values()]
    if all(exact):
        text = "Values shown in images and profiles are exact."
    else:
        rounded = f"rounded to 1/{pictures.levels} of the range of their image"
        text = f"Values shown in images and profiles are {rounded}" + (
            "; whole numbers are exact." if any(exact) else "."
        )
    if pictures.largest is not None:
        text += f" Images are reduced to at most {pictures.largest} pixels along an edge by block averages."
    return text + " The full arrays are in result.h5."


def _asset(name: str) -> str:
    return (resources.files("fusionkit.report") / "assets" / name).read_text(encoding="utf-8")
