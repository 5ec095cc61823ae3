"""One self-contained HTML page about a run, or about several.

A run or a comparison becomes a `content.Page`, which holds what to show; `html.render` writes any page as one file,
with the styles and scripts in ``assets``. The sentences about a run are in `diagnostics`, the PNG files in `figures`.
"""

from __future__ import annotations
