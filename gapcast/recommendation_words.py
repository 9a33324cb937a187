"""Recommendations in words: what to do first and what that brings, the steps of a plan, and the plans beside it."""

from typing import NamedTuple

from gapcast import comparison_words, words
from gapcast.contract.recommendations import Considered, RecommendationOut, Step

NEWEST = "Ask for one with gapcast recommend, or with POST /v1/recommendations."
UNITS = {"gpu_hours": "hours are GPU-hours", "worker_hours": "hours are those of a worker, with or without a GPU"}
BOTTLENECKS = {
    "gap": "the gaps: probes buy most",
    "law": "the law: runs that teach it buy most",
    "pilots": "the runs' own scatter: the first part of several buys most",
    "runs": "the runs: one more would gain most",
    "none": "nothing that a probe or another run would change",
}
ACTIONS = {"probe": "Probe", "pilot": "Pilot", "train": "Train", "stop": "Stop"}
GAINS = {
    "expected_gain": "this plan",
    "expected_gain_naive": "probing all alike and training the first",
    "expected_gain_without": "training the first by the law alone",
}
"""Plans whose expected gains are compared, by the field that holds each."""
MOST_NAMES = 4
"""of the configurations in one line"""


class Advice(NamedTuple):
    """The first thing to do, or its outcome, and why."""

    headline: str
    reason: str


def title(plan: RecommendationOut) -> str:
    """Name a recommendation: as it was named, or by its models and what it varies."""
    return plan.name or comparison_words.titled({one.model for one in plan.space}, plan.request)


def state(plan: RecommendationOut) -> str:
    """Say how far a plan is; one that is not executed stays a plan."""
    return words.STATES[plan.status] if plan.request.execute else "planned"


def advice(plan: RecommendationOut) -> Advice:
    """Say what to do first and what it is expected to bring; of an executed plan how far it is."""
    if plan.error is not None:
        return Advice(words.sentence(state(plan)), plan.error.message)
    brings = (
        f"The best run of the plan is expected to gain {words.points(plan.expected_gain)} {words.POINTS}, in "
        f"{words.duration(3600 * plan.hours)}."
    )
    if not plan.request.execute:
        first = plan.plan[0]
        return Advice(step(plan, first), first.why if first.action == "stop" else f"{brings} {first.why}")
    trained = best(plan)
    if plan.ended:
        last = plan.plan[-1]
        why = last.why if last.action == "stop" else ""
        return Advice(words.sentence(state(plan)), " ".join(part for part in (trained, why) if part))
    number = under_way(plan)
    of = plan.plan[number]
    said = f"Step {number + 1} of {len(plan.plan)}: {step(plan, of)}"
    return Advice(said, " ".join(part for part in (brings, trained, of.why) if part))


def under_way(plan: RecommendationOut) -> int:
    """The step that an executed plan is at, from 0."""
    return next((number for number, one in enumerate(plan.plan) if one.status == "running"), len(plan.plan) - 1)


def best(plan: RecommendationOut) -> str | None:
    """Say which run has improved most; None before the first has ended."""
    if plan.best is None or plan.best.improvement is None:
        return None
    return (
        f"Best run: {words.isolated(plan.space[plan.best.place].name)}, {words.measured(plan.best.improvement)} points."
    )


def which(plan: RecommendationOut, of: Step) -> str:
    """Say which configurations a step is about."""
    if not of.configurations:
        return ""
    places = dict.fromkeys(of.configurations)
    names = [
        f"{words.isolated(name)}{', with two seeds' if of.configurations.count(place) > 1 else ''}"
        for place, name in zip(places, plan.names(list(places)), strict=True)
    ]
    rest = [f"{len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    listed = words.listed([*names[:MOST_NAMES], *rest])
    if rest and len(names) == len(plan.space):
        listed = f"all {len(names)}"
    if not of.choice:
        return listed
    if of.action == "probe":
        return f"{len(names)} of them, chosen then, such as {listed}"
    return f"{words.count(of.runs, 'run')} of {listed}"


def step(plan: RecommendationOut, of: Step) -> str:
    """Say what a step does, to which configurations, and for how long."""
    if of.action == "stop":
        return ACTIONS["stop"]
    said, lasts = f"{ACTIONS[of.action]} {which(plan, of)}", words.duration(3600 * of.hours)
    if of.action == "probe":
        return f"{said}: {of.problems} problems each, at most {lasts}"
    if of.action == "pilot":
        return f"{said} at {_share(of.share)}, finish {_best(of.finish or 1)}: about {lasts}"
    return f"{said}: about {lasts}"


def worth(plan: RecommendationOut) -> str:
    """Say what the plan is expected to gain, beside other plans."""
    others = [f"{words.sentence(GAINS[name])}: {words.points(getattr(plan, name))}." for name in list(GAINS)[1:]]
    takes = words.duration(3600 * plan.hours)
    return " ".join([f"Expected gain of the best run: {words.points(plan.expected_gain)} points, in {takes}.", *others])


def budget(plan: RecommendationOut) -> str:
    """Say what may be spent."""
    of = plan.request.budget
    hours = f", {of.gpu_hours:g} hours" if of.gpu_hours is not None else ""
    return f"{words.count(of.runs, 'run')}{hours}"


def considered(plan: Considered) -> str:
    """Say in a few words what a plan does."""
    parts = [f"train {plan.runs_first} first"] if plan.runs_first else []
    if plan.problems:
        parts.append(f"probe {plan.probed} with {plan.problems} problems each")
    if plan.runs_in_turn:
        parts.append(f"train {plan.runs_in_turn} of them")
    if plan.pilots:
        parts.append(f"pilot {plan.pilots} at {_share(plan.pilot_share)}, finish {_best(plan.runs)}")
        return ", then ".join(parts)
    left = plan.runs - plan.runs_first - plan.runs_in_turn
    others = " by what those have shown" if plan.runs_first or plan.runs_in_turn else ""
    parts.append(f"train {_best(left)}{others}")
    return ", then ".join(parts)


def _best(runs: int) -> str:
    return "the best" if runs == 1 else f"the best {runs}"


def _share(share: float | None) -> str:
    return words.whole_percent(share or 0.0)
