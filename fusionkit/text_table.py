"""A table of texts in lines: as it stands, turned over, or a block a column, the first that no terminal breaks."""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[str]


def aligned(rows: Sequence[Row]) -> list[str]:
    """A line a row, the first column to the left and the others to the right.

    Parameters
    ----------
    rows : texts, as many in each; the first row is the head.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def fitted(rows: Sequence[Row], width: int) -> list[tuple[str, bool]]:
    """The lines of a table that a number is never broken in, and whether each is a heading.

    Parameters
    ----------
    rows : as `aligned` takes them.
    width : characters of a line.
    """
    turned = [tuple(map(str.strip, column)) for column in zip(*rows, strict=True)]
    for table in (rows, turned):
        lines = aligned(table)
        if max(map(len, lines)) <= width:
            return [(line, index == 0) for index, line in enumerate(lines)]
    (_, *names), *body = rows
    blocks = [[(name, True), *_block(body, index)] for index, name in enumerate(names, start=1)]
    return [line for block in blocks for line in block]


def _block(body: Sequence[Row], column: int) -> list[tuple[str, bool]]:
    return [(f"  {line}", False) for line in aligned([(row[0], row[column]) for row in body])]
