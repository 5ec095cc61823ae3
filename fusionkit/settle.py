"""A configuration and its data with every ``weight: auto`` replaced by a number."""

from __future__ import annotations

from dataclasses import replace

from fusionkit.config import Config, LoadedConfig
from fusionkit.data.dataset import Dataset
from fusionkit.threads import limit_threads
from fusionkit.weights.auto import asked, checkable
from fusionkit.weights.chosen import ChosenWeight, with_weights


def settled(
    loaded: LoadedConfig, dataset: Dataset, search: bool = True
) -> tuple[LoadedConfig, Dataset, tuple[ChosenWeight, ...]]:
    """The configuration with numbers, the data with a note on each choice, and the choices.

    Parameters
    ----------
    loaded : the configuration; where it asks for nothing, everything stays as it is.
    dataset : its data.
    search : whether weights of penalties are searched; where not, a note says how they would be, and 1 stands for them.

    Raises
    ------
    UserError, RefusalError : as `fusionkit.weights.choose.choose_weights`.
    """
    if not asked(loaded.config.terms):
        return loaded, dataset, ()
    # what a run without a choice does not need
    from fusionkit.weights.choose import choose_weights, plan_choices

    config = loaded.config
    objective = config.objective
    with limit_threads(config.threads):
        if search:
            chosen = choose_weights(dataset, objective)
            notes = [one.note for one in chosen]
        else:
            choices = plan_choices(dataset, objective)
            chosen = choices.chosen
            notes = [one.note for one in chosen]
            notes += [
                f"The weight of {task.term} would be chosen by {method}, which takes some solves; 1 stands for it here."
                for task, method in choices.searches
            ]
            notes += [
                f"The weight of {task.term} may be lowered by count_splitting, which takes some solves."
                for task in choices.fits
            ]
    terms = [checkable(term) for term in with_weights(config.terms, chosen)]
    settled_config: Config = config.model_copy(update={"terms": terms})
    return replace(loaded, config=settled_config), replace(dataset, notes=(*dataset.notes, *notes)), chosen
