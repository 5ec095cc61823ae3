"""The identity as a linear operator, so that a penalty may act on x itself."""

from fusionkit.build import Context
from fusionkit.linear import IdentityMap
from fusionkit.options import NoOptions


def identity(options: NoOptions, context: Context) -> IdentityMap:
    """x itself; domain and range are the shape of the unknown."""
    return IdentityMap(context.shape)
