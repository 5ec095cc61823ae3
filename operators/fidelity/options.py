"""Options of data-fidelity terms: data, forward model and weight."""

from __future__ import annotations

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.operators.fidelity import Fidelity, fidelity
from fusionkit.operators.fidelity.loss import Loss
from fusionkit.options import Options, Spec, Weight


class FidelityOptions(Options):
    """Options of every data-fidelity term."""

    name: str | None = None
    weight: Weight = 1.0
    data: str
    forward: Spec = Spec(type="identity")


def from_options(options: FidelityOptions, kind: str, loss: Loss, context: Context) -> Fidelity:
    """The term with these options; ``kind`` is its name by default."""
    data = context.array(options.data)
    forward = context.build("forwards", options.forward, "forward")
    if forward.fitted and loss.noise != "normal":
        problem = f"{' and '.join(forward.fitted)} are fitted in least squares only"
        raise UserError(context.at("forward").where, problem, "give numbers, or use type: least_squares")
    name, labels = options.name or kind, context.labels
    return fidelity(name, options.weight, loss, forward, data, context.where, options.data, labels)
