"""One self-contained HTML page on a run, and on several: what to show (`content`) apart from how (``assets``).

A run or a comparison becomes a `content.Page`; `html.render` writes any page as one file.
"""

from __future__ import annotations
