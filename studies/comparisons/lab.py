"""Comparisons of lab contexts, resampled from stored probes: `python -m studies.comparisons.lab`.

Each takes six of a world's eight contexts and 512 problems, drawn with replacement, with 4 of the 8 stored rollouts of
each. The law is that of the lab's pool. The reference is the improvement predicted from all stored rollouts; the budget
is what probes of 128 problems would cost, one for each context. Beside it the same comparisons with an equal split: all
contexts get the same problems, and the largest prediction is chosen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gapcast.contract.contexts import context_key, context_of
from gapcast.contract.recipes import Recipe, cell_of, recipe_class_of
from service.deciding import Configuration, Rules, cost
from service.law import GapLaw, Observations, Probe
from service.law.observations import FloatArray
from service.observations.service import shipped
from studies.comparisons.lab_probes import WORLDS, stored
from studies.comparisons.playing import Scores, play
from workers.lab.models import MODELS

COMPARISONS, CONTEXTS, ROLLOUTS = 40, 6, 4
OWN_SIZE = 128
"""the default probe's problems; `most` is four times as many"""
SPLITS = (16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512)
SPLITS_SHOWN = (16, 32, 64, 128, 256, 512)
CLOSE = 0.01


def law_of_the_pool() -> GapLaw:
    """The law of the lab's shipped runs, contexts known."""
    runs = shipped()
    recipes = [recipe_class_of(cell_of(run.family, run.configuration.task, run.configuration.recipe)) for run in runs]
    outcomes = [run.outcome for run in runs]
    return GapLaw().fit(
        Observations(
            gap=[each.gap.value for each in outcomes],
            gap_var=[each.gap.se**2 for each in outcomes],
            improvement=[each.improvement.value for each in outcomes],
            improvement_var=[each.improvement.se**2 for each in outcomes],
            cov=[each.cov for each in outcomes],
            baseline=[each.baseline for each in outcomes],
            collapsed=[each.collapsed for each in outcomes],
            family=[run.family for run in runs],
            cell=[cell_of(run.family, run.configuration.task, run.configuration.recipe) for run in runs],
            teacher=[each.teacher for each in recipes],
            divergence=[each.divergence for each in recipes],
            context=[
                context_key(
                    run.configuration.context, run.configuration.template_version, run.configuration.task_revision
                )
                for run in runs
            ],
            model=[run.configuration.model for run in runs],
            ids=[run.external_id for run in runs],
        )
    )


class Field(NamedTuple):
    """All contexts of a world: the configurations, and their stored counts (contexts, problems)."""

    configurations: list[Configuration]
    student: FloatArray
    arms: FloatArray
    rollouts: int


def field(world: str, law: GapLaw) -> Field:
    """Read a world."""
    model, task, contexts = WORLDS[world]
    rows = {row["context"]: row for row in stored() if row["world"] == world}
    family = next(each.family for each in MODELS if each.name == model)
    recipe = Recipe()
    cell = cell_of(family, task, recipe)
    found = []
    for name, context in contexts.items():
        key = context_key(context_of(context))
        question = {"family": family, "cell": cell, "context": key, "model": model}
        question |= {"teacher": recipe.law_teacher, "divergence": recipe.divergence}
        place = Probe(gap=0.1, gap_var=0.0, baseline=0.3, **question)
        is_stored = law.predict_improvement(place).context_known in {"context", "configuration"}
        paired = name if is_stored else "new"
        found.append(Configuration(0, question, paired, model, name, ROLLOUTS, 4 * OWN_SIZE))
    counts = [rows[name]["counts"] for name in contexts]
    arms = np.array([each["context"] for each in counts])
    return Field(found, np.array(counts[0]["student"]), arms, next(iter(rows.values()))["rollouts"])


def predicted(law: GapLaw, configurations: Sequence[Configuration], scores: Scores, problems: int) -> FloatArray:
    """Predicted improvements with so many problems of each."""
    gaps = [scores.gap(row, problems) for row in range(len(configurations))]
    words = {name: [each.question[name] for each in configurations] for name in configurations[0].question}
    probe = Probe(
        gap=[each.value for each in gaps],
        gap_var=[each.variance for each in gaps],
        baseline=float(scores.student[:problems].mean()),
        **words,
    )
    return np.asarray(law.predict_improvement(probe).mean)


def main() -> None:
    """Print one row a world, and all together."""
    law, rules = law_of_the_pool(), Rules()
    lines = {world: _world(law, rules, number, world) for number, world in enumerate(WORLDS)}
    print(
        "| world | best or within 1 point | best | mean regret, points | rollouts of the budget | looks | stops "
        "| the same regret with an equal split | the same share within 1 point |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for world, outcome in [*lines.items(), ("all", _joined(list(lines.values())))]:
        print(f"| {world} | {outcome.row()} |")
    print("\n| equal split: best or within 1 point | " + " | ".join(f"{size} problems" for size in SPLITS_SHOWN) + " |")
    print("|---" * (1 + len(SPLITS_SHOWN)) + "|")
    for world, outcome in lines.items():
        right = (outcome.split <= CLOSE).mean(axis=0)
        print(f"| {world} | " + " | ".join(f"{100 * right[SPLITS.index(size)]:.1f} %" for size in SPLITS_SHOWN) + " |")


class Outcome(NamedTuple):
    """(n,) of each comparison: regret, share of the budget spent, looks, stop; (n, splits) regret of equal splits."""

    regret: FloatArray
    spent: FloatArray
    looks: FloatArray
    stops: list[str]
    split: FloatArray
    prices: FloatArray

    def row(self) -> str:
        """Its figures."""
        counts = ", ".join(f"{name} {self.stops.count(name)}" for name in sorted(set(self.stops)))
        return " | ".join(
            [
                f"{100 * (self.regret <= CLOSE).mean():.1f} %",
                f"{100 * (self.regret <= 0).mean():.1f} %",
                f"{100 * self.regret.mean():.2f}",
                f"{100 * self.spent.mean():.0f} %",
                f"{self.looks.mean():.1f}",
                counts,
                self._against(self.regret.mean(), self.split.mean(axis=0)),
                self._against((self.regret > CLOSE).mean(), (self.split > CLOSE).mean(axis=0)),
            ]
        )

    def _against(self, error: float, of_splits: FloatArray) -> str:
        """Rollouts spent over those of the equal split with this error, between the sizes that enclose it."""
        enough = np.flatnonzero(of_splits <= error)
        if not len(enough):
            return f"< {100 * self.spent.mean() / self.prices[-1]:.0f} %"
        place = enough[0]
        price = self.prices[place]
        if place:
            share = (of_splits[place - 1] - error) / (of_splits[place - 1] - of_splits[place])
            price = self.prices[place - 1] + share * (price - self.prices[place - 1])
        return f"{100 * self.spent.mean() / price:.0f} %"


def _joined(parts: Sequence[Outcome]) -> Outcome:
    return Outcome(
        *(np.concatenate([part[place] for part in parts]) for place in range(3)),
        [stop for part in parts for stop in part.stops],
        np.concatenate([part.split for part in parts]),
        parts[0].prices,
    )


def _world(law: GapLaw, rules: Rules, number: int, world: str) -> Outcome:
    whole = field(world, law)
    reference = predicted(
        law,
        whole.configurations,
        Scores(whole.student / whole.rollouts, whole.arms / whole.rollouts, whole.rollouts),
        len(whole.student),
    )
    regret, spent, looks, stops, split = [], [], [], [], []
    for comparison in range(COMPARISONS):
        rng = np.random.default_rng([number, comparison])
        chosen = np.sort(rng.choice(len(whole.configurations), CONTEXTS, replace=False))
        problems = rng.integers(len(whole.student), size=4 * OWN_SIZE)

        def drawn(counts: FloatArray, rng: np.random.Generator = rng) -> FloatArray:
            return rng.hypergeometric(counts, whole.rollouts - counts, ROLLOUTS) / ROLLOUTS

        scores = Scores(drawn(whole.student[problems]), drawn(whole.arms[np.ix_(chosen, problems)]), ROLLOUTS)
        configurations = [whole.configurations[row] for row in chosen]
        loss = reference[chosen].max() - reference[chosen]
        budget = cost(configurations, {}, dict.fromkeys(range(CONTEXTS), OWN_SIZE))
        played = play([law], configurations, scores, rules._replace(seed=comparison), budget)
        regret.append(loss[played.last.leader])
        spent.append(played.spent / budget)
        looks.append(played.looks)
        stops.append(str(played.last.stop))
        split.append([loss[predicted(law, configurations, scores, size).argmax()] for size in SPLITS])
    prices = np.array(SPLITS) / OWN_SIZE
    return Outcome(np.array(regret), np.array(spent), np.array(looks), stops, np.array(split), prices)


if __name__ == "__main__":
    main()
