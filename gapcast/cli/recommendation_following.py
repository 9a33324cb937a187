"""Following an executed plan in a terminal: a line for each thing that has happened, and below it what goes on."""

from collections.abc import Iterable

from rich.console import Console
from rich.status import Status

from gapcast import recommendation_words
from gapcast.client import Client
from gapcast.contract.events import (
    ComparisonProgressed,
    ComparisonRound,
    RecommendationPiloted,
    RecommendationReplanned,
    RecommendationStep,
    TrainingEvaluated,
    TrainingProgress,
    content_of,
)
from gapcast.models import Event, Recommendation
from gapcast.words import HAPPENED, PHASES, STATES, count, listed, measured, percent, points, probability


def follow_recommendation(client: Client, plan: Recommendation, console: Console) -> Recommendation:
    """Show a plan's progress until it has ended, and return it as it ended."""
    if plan.ended:
        return plan
    with console.status(STATES["queued"]) as status:
        watch(client, client.recommendations.events(plan.id), plan, console, status)
    return client.recommendations.get(plan.id)


def watch(client: Client, events: Iterable[Event], plan: Recommendation, console: Console, status: Status) -> None:
    """Show a plan's events until there are no more."""
    told = 0

    def say(line: str) -> None:
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)

    for event in events:
        if step := content_of(event, RecommendationStep):
            plan = client.recommendations.get(plan.id)
            told = 0
            say(f"step {step.number}: {recommendation_words.step(plan, plan.plan[step.number - 1])}")
        elif piloted := content_of(event, RecommendationPiloted):
            cancelled = f"{count(len(piloted.cancelled_run_ids), 'other')} cancelled"
            say(f"the pilots are over: {listed(piloted.finished_run_ids)} finished, {cancelled}")
        elif content_of(event, RecommendationReplanned):
            say("the law knows these runs; the rest is planned anew")
        elif after := content_of(event, ComparisonRound):
            if after.number > told:  # else it is told again, after a lost worker
                told = after.number
                best = next(one for one in after.standings if one.place == after.leader)
                ahead = f"{points(best.value or 0.0)} points, P(best) {probability(best.p_best)}"
                say(f"round {after.number}: {count(after.rollouts, 'rollout')}; the best {ahead}")
        elif probed := content_of(event, ComparisonProgressed):
            status.update(f"sampling: {probed.done:,} of at most {count(probed.total, 'rollout')}")
        elif seen := content_of(event, TrainingEvaluated):
            gained = f"improvement {measured(seen.improvement)} points"
            say(f"training, step {seen.step}: accuracy {percent(seen.accuracy)}, {gained}")
        elif trained := content_of(event, TrainingProgress):
            status.update(f"{PHASES[trained.phase]}: {trained.done} of {trained.total} steps")
        elif event.type in HAPPENED:
            status.update(HAPPENED[event.type])
