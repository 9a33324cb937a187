"""What the page shows of a recommendation beside its plot: steps, configurations, and what is known of the whole."""

from collections.abc import Iterator
from typing import NamedTuple

from gapcast import recommendation_words, words
from gapcast.contract.recommendations import Candidate, RecommendationOut, Step
from service.web.facts import Fact


class Started(NamedTuple):
    """What a step has started, and where the page shows it."""

    link: str
    text: str


class StepRow(NamedTuple):
    """A line of the table of steps; what a step does not have is empty."""

    action: str
    configurations: str
    problems: str
    runs: str
    hours: str
    why: str
    state: str
    started: list[Started]


def step_rows(plan: RecommendationOut) -> Iterator[StepRow]:
    """Return the steps in their order."""
    for one in plan.plan:
        yield StepRow(
            action=recommendation_words.ACTIONS[one.action],
            configurations=recommendation_words.which(plan, one),
            problems=f"{one.problems:,}" if one.problems else "",
            runs=_runs(one),
            hours=words.duration(3600 * one.hours) if one.hours else "",
            why=one.why,
            state=words.sentence(words.STATES.get(one.status, one.status)),
            started=list(_started(plan, one)),
        )


def _runs(step: Step) -> str:
    finish = f", finish {step.finish:,}" if step.finish is not None else ""
    return f"{step.runs:,}{finish}" if step.runs else ""


def _started(plan: RecommendationOut, step: Step) -> Iterator[Started]:
    if step.comparison_id is not None:
        yield Started(f"/comparisons/{step.comparison_id}", "comparison")
    trained = {one.training_run_id: one for one in plan.trained}
    for run_id in step.training_run_ids:
        run = trained[run_id]
        gained = f", {words.measured(run.improvement)}" if run.improvement is not None else ""
        yield Started(f"/training_runs/{run_id}", f"run of {plan.space[run.place].name}{gained}")


def candidates(plan: RecommendationOut) -> list[Candidate]:
    """Return the configurations, the most promising first."""
    return sorted(plan.space, key=lambda one: (-one.p_best, one.place))


def recommendation_facts(plan: RecommendationOut) -> Iterator[Fact]:
    """Say what is known of the whole."""
    yield Fact("Bottleneck", words.sentence(recommendation_words.BOTTLENECKS[plan.bottleneck]), "bottleneck")
    yield Fact("Takes", words.duration(3600 * plan.hours), "takes")
    yield Fact("Budget", recommendation_words.budget(plan), "budget")
    yield Fact("Unit", words.sentence(recommendation_words.UNITS[plan.unit]), "unit")
    yield Fact("Fit", plan.fit_id, "fit", f"/law?fit={plan.fit_id}", words.short_id(plan.fit_id))
