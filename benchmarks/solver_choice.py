"""``auto`` beside the best single solver: ``python -m benchmarks.solver_choice [--seeds 11 23] [--only tv]``.

Each problem is solved by ``auto`` and by single solvers one after the other, which get at most some times the time
of ``auto``: who has not converged by then does not matter. Printed are the iterations of ``auto`` and its time
over that of the fastest that converged; a line at the end counts the problems above 1.5, and those that ``auto`` leaves
unsolved.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import fusionkit as fk
from fusionkit.engines.cpu.compile import compile_seconds
from fusionkit.problem import Problem

SOLVERS = ("chambolle_pock", "proximal_gradient", "linearized_admm", "admm", "condat_vu")
NUMBERS = {"O": 8, "S": 16, "Ti": 22, "Co": 27, "Sr": 38, "Dy": 66, "Pt": 78, "Bi": 83}
TV = {"type": "tv", "weight": 0.3}
WAVELET = {"type": "pylops", "operator": "DWT2D", "arguments": {"wavelet": "db2", "level": 3}}


def recording(
    random: np.random.Generator, n: int, elements: int, gamma: float, counts: float, flat: bool, background: float
) -> tuple[fk.Dataset, float]:
    """Shapes with ramps, an image with 2 % noise, counts, a second image, and the weight of the image."""
    y, x = np.mgrid[:n, :n] / n
    centre = random.uniform(0.35, 0.65, (elements, 2, 1, 1))
    width = random.uniform(0.2, 0.4, (elements, 1, 1))
    shapes = (y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2 < width**2
    phase = np.arange(1, elements + 1)[:, None, None]
    truth = counts * (np.ones((elements, n, n)) if flat else shapes * (1 + 0.5 * np.cos(3 * phase * x)) + 0.02)
    truth += background
    names = tuple(NUMBERS)[:elements]
    z = np.array([NUMBERS[name] for name in names], float)
    image = ((z / z.mean())[:, None, None] * truth) ** gamma
    noise = 0.02 * image.sum(0).max()
    arrays = {
        "haadf": image.sum(0) + random.normal(0, noise, (n, n)),
        "maps": random.poisson(truth).astype(float),
        "second": truth.sum(0) + random.normal(0, 0.3, (n, n)),
    }
    return fk.Dataset(arrays, elements=names), noise**-2


def posed(
    seed: int,
    penalties: Sequence[Any] = (TV,),
    n: int = 64,
    elements: int = 3,
    gamma: float = 1.7,
    counts: float = 20.0,
    image: float = 1.0,
    fit: float = 1.0,
    flat: bool = False,
    background: float = 0.0,
    more: Sequence[Any] = (),
    **poisson: Any,
) -> tuple[Problem, np.ndarray]:
    """A problem and its start."""
    data, weight = recording(np.random.default_rng(seed), n, elements, gamma, counts, flat, background)
    terms = [
        {"type": "haadf", "weight": image * weight, "gamma": gamma, "z": "relative"},
        {"type": "poisson", "weight": fit, "epsilon": 0.1, **poisson},
        *penalties,
        *more,
        "nonnegative",
    ]
    problem = fk.compose(data, terms)
    return problem, fk.starting_point("auto", problem, data)


def problems() -> dict[str, dict[str, Any]]:
    """Arguments of `posed` by name."""
    table: dict[str, dict[str, Any]] = {"usual": {}, "flat": {"flat": True}}
    table |= {f"gamma {value:g}": {"gamma": value} for value in (1.0, 1.4, 2.0)}
    table |= {f"elements {value}": {"elements": value} for value in (1, 5, 8)}
    table |= {f"image x {value:g}": {"image": value} for value in (1e-4, 1e-2, 1e2)}
    table |= {f"poisson x {value:g}": {"fit": value} for value in (1e-3, 1e3)}
    table |= {f"counts {value:g}": {"counts": value} for value in (0.05, 0.5, 1e4)}
    table |= {f"tv {value:g}": {"penalties": [{**TV, "weight": value}]} for value in (1e-2, 10.0, 1e3)}
    for kind in ("tgv", "vectorial_tv", "anisotropic_tv", "structure_tensor_tv"):
        table[kind] = {"penalties": [{"type": kind, "weight": 0.3}]}
    joint = {"type": "tgv", "coupling": "joint"}
    table |= {f"joint tgv {value:g}": {"penalties": [{**joint, "weight": value}]} for value in (0.3, 3.0)}
    table |= {
        f"flat tgv {value:g}": {"penalties": [{"type": "tgv", "weight": value}], "flat": True} for value in (3, 300)
    }
    table["huber"] = {"penalties": [{"type": "huber_tv", "weight": 0.3, "smoothing": 0.5}]}
    table["wavelets"] = {"penalties": [{"type": "l1", "operator": WAVELET, "weight": 0.3}]}
    table["tv + l1"] = {"penalties": [TV, {"type": "l1", "weight": 0.1}]}
    laplacian = {"type": "l1", "operator": "laplacian"}
    for name, other in {
        "anisotropic": {"type": "anisotropic_tv"},
        "tgv": {"type": "tgv"},
        "laplacian": laplacian,
    }.items():
        several = [{**TV, "weight": 0.2}, {**other, "name": "other", "weight": 0.1}]
        table |= {f"tv+{name} {counts:g}": {"penalties": several, "counts": counts} for counts in (0.5, 20.0)}
    table |= {f"background {value}": {"background": value} for value in (30, 1000)}
    table["no penalty"] = {"penalties": []}
    table["blur"] = {"forward": {"type": "blur", "sigma": 1.5}}
    second = {"type": "least_squares", "name": "second", "data": "second", "weight": 10.0, "forward": {"type": "sum"}}
    table["second image"] = {"more": [second]}
    table |= {f"{n} pixels": {"n": n} for n in (32, 128)}
    return table


def seconds(problem: Problem, start: np.ndarray, solver: str, limit: float) -> tuple[float, fk.Result | None]:
    """The processor time of a solve and its result; infinite and None for a solver that refuses."""
    try:
        made = fk.make_solver(solver, tolerance=1e-4, max_iterations=3000, time_limit=limit)
        fk.solve(problem, fk.make_solver(solver, tolerance=1e-4, max_iterations=20), start)  # loads kernels
        spent, result = np.inf, None
        for _ in range(3):
            compiled, began = compile_seconds(), time.process_time()
            result = fk.solve(problem, made, start)
            if compile_seconds() == compiled:  # a solve that compiles kernels is repeated
                spent = min(spent, time.process_time() - began)
            if 0.3 < spent < np.inf:  # short times vary
                break
    except fk.UserError:
        return np.inf, None
    return spent, result


def rows(seeds: Sequence[int], only: str, solvers: Sequence[str]) -> Iterator[tuple[bool, bool]]:
    """Print a row for each problem and seed: whether ``auto`` converged and whether it is above 1.5."""
    print(f"{'problem':16} {'seed':>4} {'auto':>12} {'its':>5} {'seconds':>8} {'best':>18} {'ratio':>6}")
    for name, arguments in problems().items():
        for seed in seeds if only in name else ():
            problem, start = posed(seed, **arguments)
            own, result = seconds(problem, start, "auto", 120.0)
            assert result is not None
            others = {solver: seconds(problem, start, solver, 4.0 * own + 1.0) for solver in solvers}
            fit = {one: spent for one, (spent, got) in others.items() if got and got.status is fk.Status.CONVERGED}
            best = min(fit, key=lambda one: fit[one], default="none")
            ratio = own / fit[best] if fit else np.nan
            done = result.status is fk.Status.CONVERGED
            word = "" if done else f" {result.optimality:.1e}"
            status = f"{result.status.value:>12} {result.iterations:5}"
            print(f"{name:16} {seed:4} {status} {own:8.2f} {best:>18} {ratio:6.2f}{word}", flush=True)
            yield done, ratio > 1.5


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solver_choice", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 23])
    parser.add_argument("--only", default="", help="part of the names of problems")
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS))
    given = parser.parse_args(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = list(rows(given.seeds, given.only, given.solvers))
    unsolved, slow = sum(not one for one, _ in done), sum(above for _, above in done)
    print(f"{len(done)} problems: {unsolved} not converged, {slow} above 1.5 times the best solver")


if __name__ == "__main__":
    main()
