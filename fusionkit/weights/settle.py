"""A configuration and its data with every ``weight: auto`` replaced by a number."""

from __future__ import annotations

from dataclasses import replace

from fusionkit.config import LoadedConfig
from fusionkit.data import Dataset
from fusionkit.threads import limit_threads
from fusionkit.weights.asked import asked
from fusionkit.weights.chosen import ChosenWeight


def settled(loaded: LoadedConfig, dataset: Dataset) -> tuple[LoadedConfig, Dataset, tuple[ChosenWeight, ...]]:
    """The configuration with numbers, the data with a note on each choice, and the choices.

    Parameters
    ----------
    loaded : the configuration; where it asks for nothing, everything stays as it is.
    dataset : its data.

    Raises
    ------
    UserError, RefusalError : as `fusionkit.weights.choose.choose_weights`.
    """
    if not asked(loaded.config.terms):
        return loaded, dataset, ()
    from fusionkit.weights.choose import choose_weights, with_weights  # what a run without a choice does not need

    with limit_threads(loaded.config.threads):
        chosen = choose_weights(loaded.config, dataset)
    notes = (*dataset.notes, *(one.note for one in chosen))
    return replace(loaded, config=with_weights(loaded.config, chosen)), replace(dataset, notes=notes), chosen
