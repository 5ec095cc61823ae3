"""Linear maps of the unknown: identity, gradients, Laplacian, guided gradient, any operator of pylops."""

from fusionkit.build import Context
from fusionkit.linear import IdentityMap
from fusionkit.options import NoOptions


def identity(options: NoOptions, context: Context) -> IdentityMap:
    """x itself; domain and range are the shape of the unknown."""
    return IdentityMap(context.shape)
