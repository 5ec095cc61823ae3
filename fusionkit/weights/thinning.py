r"""Count splitting: two independent recordings out of one.

A count b ~ Poisson(mu) whose every electron or photon goes to the training set with probability p gives
:math:`b_t \sim \mathrm{Poisson}(p\mu)` and :math:`b_v = b - b_t \sim \mathrm{Poisson}((1-p)\mu)`, independent of each
other. With the maps :math:`b_t / p`, the objective keeps its units, and the likelihood of b_t is the Poisson term of
these maps with p times the weight:

.. math:: p\mu - b_t \log(p\mu) = p \bigl(\mu - \tfrac{b_t}{p} \log\mu\bigr) + \mathrm{const}

Whatever x is made from b_t, :math:`b_v/(1-p)` is a noisy view of mu that x knows nothing of, so that

.. math:: E\,\|x - b_v/(1-p)\|^2 = E\,\|x - \mu\|^2 + \mathrm{const}:

the squared held-out error has its minimum where the squared error has it. Source: A. Neufeld, A. Dharamshi, L. L. Gao,
D. Witten, J. Mach. Learn. Res. 25, 57 (2024), Poisson thinning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusionkit.terms import Array


@dataclass(frozen=True)
class Halves:
    """Training and held-out data, both in the units of the counts.

    Parameters
    ----------
    training : b_t / p.
    held_out : b_v / (1 - p).
    """

    training: Array
    held_out: Array


def thin(counts: Array, share: float, random: np.random.Generator) -> Halves:
    """The counts divided at random.

    Parameters
    ----------
    counts : whole numbers >= 0, of any shape.
    share : p in (0, 1), of the training set.
    random : where the chance comes from.
    """
    whole = np.rint(counts).astype(np.int64)
    kept = random.binomial(whole, share)
    return Halves(kept / share, (whole - kept) / (1.0 - share))
