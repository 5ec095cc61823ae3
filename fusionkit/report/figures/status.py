"""The verdict of a solve on one line, the head of every figure."""

from __future__ import annotations

from fusionkit.result import Result, Status

STATUS_WORDS = {
    Status.CONVERGED: "Converged",
    Status.MAX_ITERATIONS: "Not converged",
    Status.STALLED: "Stalled",
    Status.DIVERGED: "Diverged",
    Status.INTERRUPTED: "Interrupted",
}


def status_line(result: Result) -> str:
    """Status, iterations, objective and optimality."""
    return (
        f"{STATUS_WORDS[result.status]} after {result.iterations} iterations   ·   objective {result.objective:.7g}"
        f"   ·   optimality {result.optimality:.2g}"
    )
