r"""Data-fidelity terms :math:`T(x) = w \sum_k \varphi(m_k(x); b_k)`: a loss of a forward model against data.

`fidelity` selects the class of the term, whose type declares what it can do:

=======================  ===================================================================================
forward model            the term is
=======================  ===================================================================================
identity on maps         pixelwise and proximable; smooth where the loss is
pixelwise                pixelwise; smooth where loss and model are
some of the maps,        pixelwise and composed; smooth where the loss is
or sums of them
linear                   composed (the loss as functional, the map as operator); smooth where the loss is
any other                differentiable; smooth where loss and model are
=======================  ===================================================================================
"""

from math import isfinite, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.operators.fidelity.loss import Loss
from fusionkit.operators.fidelity.pixelwise import (
    IdentityFidelity,
    MixedFidelity,
    PixelwiseFidelity,
    SelectedFidelity,
    SmoothIdentityFidelity,
    SmoothMixedFidelity,
    SmoothPixelwiseFidelity,
    SmoothSelectedFidelity,
)
from fusionkit.operators.fidelity.term import (
    ComposedFidelity,
    DifferentiableFidelity,
    Fidelity,
    SmoothComposedFidelity,
    SmoothFidelity,
)
from fusionkit.operators.forward import Forward, Jet, LinearForward, PixelwiseForward
from fusionkit.operators.forward.elements import SelectedMaps
from fusionkit.operators.forward.identity import Identity
from fusionkit.operators.forward.spectral import MixedMaps
from fusionkit.options import Existing, Options, Spec, Weight
from fusionkit.terms import Array

__all__ = ["Fidelity", "Forward", "Jet", "LinearForward", "Loss", "PixelwiseFidelity", "PixelwiseForward", "fidelity"]


def fidelity(
    name: str,
    weight: float,
    loss: Loss,
    forward: Forward,
    data: npt.ArrayLike,
    where: str | None = None,
    target: str = "",
    labels: tuple[str, ...] = (),
    masked: bool = False,
) -> Fidelity:
    r"""The term :math:`w \sum_k \varphi(m_k(x); b_k)`, of the class that declares what it can do.

    `UserError` if the weight is negative or not finite, or the data are complex, not finite, unlike the prediction in
    shape, or outside the range of the loss.

    Parameters
    ----------
    name : of the term.
    weight : w, finite and >= 0.
    loss : phi.
    forward : m.
    data : b, of the shape of ``forward.range`` (any shape of the same size if that is flat); its floating dtype is the
        dtype of the problem, integers become float64. The array is not copied: do not modify it.
    where : config key for error messages; the name of the term by default.
    target : name of the data in the dataset.
    labels : elements of the unknown, for error messages.
    masked : whether NaN in the data marks what was not measured and is left out; otherwise it is refused.
    """
    where = where or name
    if not (isfinite(weight) and weight >= 0):
        raise UserError(where, f"the weight is {weight}", "it must be finite and >= 0")
    b = _checked(np.asarray(data), forward, where)
    loss.check(np.where(np.isnan(b), 0.0, b) if masked else b, where, labels)
    smooth = forward.smooth and loss.smooth_on(forward.nonnegative)
    return _class_of(forward, smooth)(name, float(weight), loss, forward, b, target)


def _class_of(forward: Forward, smooth: bool) -> type[Fidelity]:
    if isinstance(forward, Identity):
        return SmoothIdentityFidelity if smooth else IdentityFidelity
    if isinstance(forward, PixelwiseForward):
        return SmoothPixelwiseFidelity if smooth else PixelwiseFidelity
    if isinstance(forward, SelectedMaps):
        return SmoothSelectedFidelity if smooth else SelectedFidelity
    if isinstance(forward, MixedMaps):
        return SmoothMixedFidelity if smooth else MixedFidelity
    if isinstance(forward, LinearForward):
        return SmoothComposedFidelity if smooth else ComposedFidelity
    return SmoothFidelity if smooth else DifferentiableFidelity


def _checked(data: npt.NDArray[Any], forward: Forward, where: str) -> Array:
    """The data as a read-only floating array of the shape of the prediction."""
    if data.dtype.kind not in "fiub":
        raise UserError(where, f"the data are of type {data.dtype}", "give real numbers")
    b = data.astype(np.float64) if data.dtype.kind != "f" else data.view()
    if b.shape != forward.range and not (len(forward.range) == 1 and b.size == prod(forward.range)):
        raise UserError(
            where,
            f"the forward model predicts shape {forward.range} but the data have shape {b.shape}",
            "choose the data or the forward model so that they agree",
        )
    b = b.reshape(forward.range)
    b.flags.writeable = False
    return b


class FidelityOptions(Options):
    """Options of every data-fidelity term.

    Parameters
    ----------
    weight : w >= 0, in the unit of one over the loss: 1 / s^2 for least squares and noise of variance s^2.
    data : name of the data in the dataset.
    forward : the model that predicts them from the maps, one of ``fusionkit list forwards``.
    """

    name: str | None = None
    weight: Weight = 1.0
    data: str
    forward: Spec = Spec(type="identity")


def from_options(options: FidelityOptions, kind: str, loss: Loss, context: Context) -> Fidelity:
    """The term with these options; ``kind`` is its name by default."""
    data = context.array(options.data)
    forward = context.build("forwards", options.forward, "forward")
    if f"{options.data}_mixing" in context.dataset.arrays and not _mixes(options.forward):
        problem = f"every element contributes to every map of '{options.data}' (method: spectral)"
        raise UserError(context.at("forward").where, problem, "write forward: spectral")
    if forward.fitted and loss.noise != "normal":
        problem = f"{' and '.join(forward.fitted)} are fitted in least squares only"
        raise UserError(context.at("forward").where, problem, "give numbers, or use type: least_squares")
    name, labels = options.name or kind, context.labels
    masked = context.masked(options.data)
    return fidelity(name, options.weight, loss, forward, data, context.where, options.data, labels, masked)


def _mixes(forward: Spec) -> bool:
    """Whether a model, or the one inside it, is ``spectral`` or an author's own."""
    inner = forward.options.get("forward")
    if inner is not None:
        return _mixes(Spec.model_validate(inner))
    return forward.type == "spectral" or isinstance(forward, Existing)
