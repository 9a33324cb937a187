"""Which law a page draws: a prediction's own, the one that is wanted, or that of the most runs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from gapcast.contract.recipes import Recipe, cell_of, recipe_class_of
from service.fits.analysis import Whose
from service.law import GapLaw, Key
from service.observations.models import Observation
from service.predictions.models import Prediction


def choose(law: GapLaw, rows: Sequence[Observation], wanted: Whose | None) -> Whose | None:
    """Choose the largest cell of a wanted or the largest family."""
    runs = [whose(row) for row in rows if not row.excluded]
    family = wanted.family if wanted is not None else _most_frequent(run.family for run in runs)
    if family is None:
        return None
    ours = [run for run in runs if run.family == family]
    if wanted is not None and wanted.teacher is not None:
        key = key_of(law, wanted)
    else:
        key = _most_frequent(key_of(law, run) for run in ours)
    of_key = (run for run in ours if run.cell is not None and key_of(law, run) == key)
    return _most_frequent(of_key) or wanted or Whose(family, None, None, None)


def of_prediction(prediction: Prediction) -> Whose:
    """Return the law that a prediction comes from, or will."""
    recipe = Recipe.model_validate(prediction.request["recipe"])
    cell = cell_of(prediction.family, prediction.request["task"], recipe)
    return Whose(prediction.family, cell, recipe.law_teacher, recipe.divergence)


def key_of(law: GapLaw | None, run: Whose) -> Key:
    """The teacher rule and divergence of a run; a law from before they were told apart holds for all of them."""
    if law is not None and law.state_.undivided:
        return Key.of(None, None)
    return Key.of(run.teacher, run.divergence)


def whose(row: Observation) -> Whose:
    """Whose run an observation is."""
    if row.cell is None:
        return Whose(row.family, None, None, None)
    recipe = recipe_class_of(row.cell)
    return Whose(row.family, row.cell, recipe.teacher, recipe.divergence)


def _most_frequent(values: Iterable[Any]) -> Any:  # noqa: ANN401
    counts = Counter(values)
    return max(sorted(counts), key=counts.__getitem__, default=None)
