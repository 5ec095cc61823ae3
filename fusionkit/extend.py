"""The namespace for authors of terms, forward models, penalties, solvers, readers and writers.

See `docs/extending.md`. The modules that define these names may move; this one stays.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fusionkit.arrays import on_host
from fusionkit.build import Context
from fusionkit.certificate import Certificate, inner, norm
from fusionkit.data.dataset import Dataset
from fusionkit.data.readers import RawArray, Reader, Recording
from fusionkit.engines.choose import joint_prox
from fusionkit.engines.kernel_terms import Kernel, LossOfMaps, LossOfSum
from fusionkit.engines.losses import LossScalars, ScalarFunction, exp, log
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.functional import Norm, ProxFunction
from fusionkit.linear import IdentityMap, PylopsMap
from fusionkit.machine import Held
from fusionkit.operators.check_term import check_term
from fusionkit.operators.fidelity import Fidelity, FidelityOptions, fidelity, from_options
from fusionkit.operators.fidelity.loss import Loss, ScalarLoss
from fusionkit.operators.forward import Forward, Jet, LinearForward, PixelwiseChain, PixelwiseForward
from fusionkit.operators.forward.identity import Identity
from fusionkit.operators.forward.power_sum import PowerSum, element_values, pixels_of
from fusionkit.operators.penalty import ComposedPenalty, ProximableFunctional
from fusionkit.options import Finite, NonNegative, Options, Positive, Spec, Weight
from fusionkit.pixelwise import PixelwiseProx
from fusionkit.problem import Problem, Slots, Split, Unfit
from fusionkit.solver import Former, Solver, SolverOptions, State
from fusionkit.solvers.forward_step import curvature_between, descends, gradient_of, value_of
from fusionkit.terms import (
    Array,
    Arrays,
    Bounds,
    Composed,
    CosineDiagonal,
    Differentiable,
    Expansion,
    Functional,
    LinearMap,
    Pixelwise,
    Proximable,
    Smooth,
    Term,
    accumulate,
)

if TYPE_CHECKING:
    from fusionkit.export.content import Content
    from fusionkit.export.writers import Writer

# fmt: off
__all__ = [
    "Array", "Arrays", "Bounds", "Certificate", "Composed", "ComposedPenalty", "Content", "Context", "CosineDiagonal",
    "Dataset", "Differentiable", "Expansion", "Fidelity", "FidelityOptions", "Finite", "Former", "Forward",
    "Functional", "FusionkitWarning", "Held", "Identity", "IdentityMap", "Jet", "Kernel", "LinearForward",
    "LinearMap", "Loss", "LossOfMaps", "LossOfSum", "LossScalars", "NonNegative", "Norm", "Options", "Pixelwise",
    "PixelwiseChain", "PixelwiseForward", "PixelwiseProx", "Positive", "PowerSum", "Problem", "ProxFunction",
    "Proximable", "ProximableFunctional", "PylopsMap", "RawArray", "Reader", "Recording", "ScalarFunction",
    "ScalarLoss", "Slots", "Smooth", "Solver", "SolverOptions", "Spec", "Split", "State", "Term", "Unfit",
    "UserError", "Weight", "Writer", "accumulate", "check_term", "curvature_between", "descends", "element_values",
    "exp", "fidelity", "from_options", "gradient_of", "inner", "joint_prox", "log", "norm", "on_host",
    "pixels_of", "value_of",
]
# fmt: on

_LAZY = {"Content": "fusionkit.export.content", "Writer": "fusionkit.export.writers"}  # they import results and configs


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'fusionkit.extend' has no attribute '{name}'")
    return getattr(import_module(_LAZY[name]), name)
