r"""The bright-field image of absorbing maps: :math:`m(x) = I_0 \exp(-\sum_i \mu_i x_i)` at each pixel.

Each layer of a specimen scatters the same share of electrons beyond the aperture, out of the bright-field image.
The model is pixelwise although it couples the elements: its second derivative, :math:`m \mu \mu^\top`, has rank one.
Sources: L. Reimer, H. Kohl, Transmission Electron Microscopy, 5th ed. (Springer, 2008), section 6.1 (mass-thickness
contrast); the Lambert-Beer law.
"""

from fusionkit.build import Context
from fusionkit.engines.losses import Attenuation
from fusionkit.errors import UserError
from fusionkit.operators.forward import PixelwiseChain
from fusionkit.operators.forward.power_sum import PowerSum, element_values, pixels_of
from fusionkit.options import NonNegative, Options, Positive


class AbsorptionOptions(Options):
    """Options of ``absorption``.

    Parameters
    ----------
    mu : absorption coefficient of each element, >= 0, in the inverse unit of its map; 0 if it is not named.
    incident : I0 > 0, the image of the vacuum, in its unit.
    """

    mu: dict[str, NonNegative]
    incident: Positive = 1.0


def absorption(options: AbsorptionOptions, context: Context) -> PixelwiseChain:
    """The forward model ``absorption``: the bright-field image I0 exp(-sum_i mu_i x_i).

    `UserError` if the unknown is no stack of maps, ``mu`` names an element without a map, or is 0 for all.
    """
    pixels, mu = pixels_of(context), element_values(options.mu, context.at("mu"), 0.0)
    if not mu.any():
        raise UserError(context.at("mu").where, "is 0 for every element", "give the coefficient of one that absorbs")
    return PixelwiseChain(Attenuation(options.incident), PowerSum(1.0, mu, pixels), nonnegative=True)
