"""Text tables: no number is broken at any width of the terminal."""

from __future__ import annotations

import pytest

from fusionkit.cli.compare import align, fit_table

ROWS = [("", "one", "another"), ("status", "converged", "stalled"), ("  tv", "12.345678", "–")]
AS_IT_STANDS = ["              one  another", "status  converged  stalled", "  tv    12.345678        –"]
TALL = [("", *(f"run{index}" for index in range(5))), ("objective", *(["-12345.678"] * 5))]
TURNED = ["       objective", *(f"run{index}  -12345.678" for index in range(5))]
LONG = "a_name_that_is_longer_than_the_line"


def test_the_first_column_is_to_the_left() -> None:
    assert align(ROWS) == AS_IT_STANDS


@pytest.mark.parametrize(
    ("rows", "width", "lines", "headings"),
    [
        (ROWS, 26, AS_IT_STANDS, [0]),
        (
            ROWS,
            25,
            ["one", "  status  converged", "    tv    12.345678", "another", "  status  stalled", "    tv          –"],
            [0, 3],
        ),
        (TALL, 69, align(TALL), [0]),
        (TALL, 30, TURNED, [0]),
        ([("", LONG, "b"), ("tv", "1.5", "2")], 20, [LONG, "  tv  1.5", "b", "  tv  2"], [0, 2]),
    ],
    ids=["as it stands", "blocks", "wide", "turned", "a long name"],
)
def test_the_layout_is_the_first_that_fits(
    rows: list[tuple[str, ...]], width: int, lines: list[str], headings: list[int]
) -> None:
    actual = fit_table(rows, width)
    assert [line for line, _ in actual] == lines
    assert [index for index, (_, is_heading) in enumerate(actual) if is_heading] == headings
