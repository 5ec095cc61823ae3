"""Reports: a self-contained HTML page about one run or several.

A run or a comparison becomes a `content.Page`; `html.render` turns any page into one file, with the styles and scripts
in ``assets``. `diagnostics` has the warnings about a run and their wording, `figures` the PNG files.
"""

from __future__ import annotations
