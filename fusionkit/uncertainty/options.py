"""Options of the config's ``uncertainty`` and ``composition``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from fusionkit.options import Ends, Index, Options, Positive

Level = Annotated[float, Field(ge=0.5, le=0.999, allow_inf_nan=False)]
WHOLE = "all"  # the region of the whole image


class UncertaintyOptions(Options):
    """Whether and how standard deviations are estimated.

    Parameters
    ----------
    method : ``none``, ``curvature`` (fast, at the solution) or ``bootstrap`` (solves simulated data).
    samples : of the bootstrap.
    seed : of the bootstrap; the same seed gives the same numbers for any number of workers.
    workers : simultaneous solves; None for one per core.
    interval : share of the pixels that intervals should cover.
    """

    method: Literal["none", "curvature", "bootstrap"] = "none"
    samples: Annotated[int, Field(ge=5, le=10_000)] = 10
    seed: Index = 0
    workers: Annotated[int, Field(ge=1, le=4096)] | None = None
    interval: Level = 0.9


class RegionOptions(Options):
    """A rectangle of pixels.

    Parameters
    ----------
    rows, columns : first and last, counted from 0, without the last; None for all.
    """

    rows: Ends | None = None
    columns: Ends | None = None

    @field_validator("rows", "columns")
    @classmethod
    def _ascending(cls, edges: list[int] | None) -> list[int] | None:
        if edges is not None and edges[0] >= edges[1]:
            raise ValueError(f"is {edges}; write [first, last] with first < last")
        return edges


Factor = Positive | Annotated[list[Positive], Field(min_length=2, max_length=2)]


class AbsorptionOptions(Options):
    """Absorption of X-rays in the specimen, by its mass-thickness.

    Parameters
    ----------
    take_off_angle : in degrees.
    lines : whose counts each map holds: {Co: Co_Ka, S: S_Ka}.
    """

    take_off_angle: Annotated[float, Field(gt=0.0, le=90.0)]
    lines: dict[str, str]


class CompositionOptions(Options):
    """Counts and atomic fractions over regions, or fractions of counts without k-factors.

    Parameters
    ----------
    k_factors : atoms per count of each element, up to a common factor, as a number or with its standard error,
        [k, error]; without factors, fractions are those of counts.
    zeta_factors : in their place, in kg/m^2, with the ``dose``.
    dose : electrons at a pixel, for the mass-thickness.
    absorption : to correct for, with zeta-factors.
    elements : over which the fractions add up, without those of grid or holder; None for all.
    regions : rectangles by name; the whole image is the region ``all``.
    interval : probability of the intervals.
    """

    k_factors: dict[str, Factor] = Field(default_factory=dict)
    zeta_factors: dict[str, Factor] = Field(default_factory=dict)
    dose: Positive | None = None
    absorption: AbsorptionOptions | None = None
    elements: Annotated[list[str], Field(min_length=1)] | None = None
    regions: dict[str, RegionOptions] = Field(default_factory=dict)
    interval: Level = 0.9

    @field_validator("regions")
    @classmethod
    def _own_names(cls, regions: dict[str, RegionOptions]) -> dict[str, RegionOptions]:
        if WHOLE in regions and regions[WHOLE] != RegionOptions():
            raise ValueError(f"'{WHOLE}' is the whole image; give the rectangle another name")
        return regions

    @model_validator(mode="after")
    def _zeta_alone(self) -> CompositionOptions:
        if self.zeta_factors and (self.k_factors or self.dose is None):
            problem = "exclude k_factors" if self.k_factors else "need the dose, in electrons at a pixel"
            raise ValueError(f"zeta_factors {problem}")
        if self.absorption is not None and not self.zeta_factors:
            raise ValueError("absorption needs zeta_factors, since k_factors give no mass-thickness")
        return self
