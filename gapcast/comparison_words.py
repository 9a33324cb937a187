"""Comparisons in words: what to train and how sure that is, why the probing ended, and what it took."""

from collections.abc import Set
from typing import NamedTuple

from gapcast import words
from gapcast.contract.comparisons import (
    COMPARED_AT,
    Compared,
    ComparisonOut,
    ComparisonProgress,
    Round,
    Spent,
    Standing,
    Stop,
)
from gapcast.contract.predictions import Answer, Improvement, Interval, PredictionRequest
from gapcast.contract.spaces import Space

NEWEST = "Ask for one with gapcast compare, or with POST /v1/comparisons."
ADVICE = {
    "train": "Train {names}",
    "pilot": "Pilot {names}",
    "skip": "Train none",
    "probe_more": "Probe {names} more",
    "undecided": "Undecided on {names}",
    "refused": "No prediction for {names}",
}
"""By the verdict on the winner."""
STOPPED = {
    "decided": "{sure} has reached the {confidence} that was asked for",
    "indifferent": "more problems would hardly change the choice: with {confidence} probability no other prediction "
    "would come out more than {indifference} points higher",
    "law": "more problems would hardly improve the choice: it is the law that is too uncertain here, and stored runs "
    "would narrow it",
    "budget": "the budget is spent; more problems could have told more",
    "most_problems": "the task has no more problems",
}
"""Why the rounds ended."""
STORED = "The gaps are those of stored probes, and nothing was measured for the comparison"


SENTENCES = {
    "train": "Train {names}",
    "pilot": "Run a pilot of {names} first",
    "skip": "Train none of them; the best is {names}",
}
"""The same where the number follows; of any other verdict which is best."""


class Advice(NamedTuple):
    """What to do, why, and the verdict that it rests on; none while there is no winner."""

    headline: str
    reason: str
    verdict: str | None = None


def title(found: ComparisonOut) -> str:
    """Name a comparison: as it was named, or by its models and what it varies."""
    return found.name or titled({one.request.model.name for one in found.configurations}, found.request)


def titled(models: Set[str], request: Space) -> str:
    """Name what has no name of its own by its models and what it varies."""
    of = words.listed(sorted(models))
    return f"{words.listed(list(request.vary))} of {of}" if request.vary else of


def best(found: ComparisonOut) -> Compared | None:
    """The winner, or who leads so far; None before the first round has ended."""
    if not found.rounds:
        return None
    place = found.winner.place if found.winner is not None else found.rounds[-1].leader
    return next(one for one in found.configurations if one.place == place)


def names(found: ComparisonOut, places: list[int]) -> list[str]:
    """The names of configurations, the best first."""
    return [words.isolated(one.name) for one in found.configurations if one.place in places]


def advice(found: ComparisonOut) -> Advice:
    """Say which to train and how sure that is, in whatever state a comparison is."""
    leads = best(found)
    if found.status != "succeeded":
        why = found.error.message if found.error is not None else ""
        return Advice(words.sentence(words.STATES[found.status]), f"{why} {so_far(found)}".strip())
    if found.winner is None or leads is None:
        return Advice(words.sentence(words.STATES[found.status]), "")
    answer = found.winner.answer
    verdict = words.verdict(answer.verdict, leads.request.min_gain)
    chosen = words.listed(names(found, found.picked) if answer.verdict == "train" else [words.isolated(leads.name)])
    headline = ADVICE.get(answer.verdict or "", "{names}").format_map({"names": chosen})
    fresh = _fresh(decisive(answer, leads.request))
    reason = f"{_sure(found, leads)} {fresh} {words.sentence(verdict.reason)}".strip()
    return Advice(headline, reason, answer.verdict)


def _sure(found: ComparisonOut, leads: Compared) -> str:
    among = f"the best of {len(found.configurations)}"
    if found.request.pick > 1 and found.p_best_picked is not None:
        picked = words.listed(names(found, found.picked))
        return f"With {words.probability(found.p_best_picked)} probability {among} is one of {picked}."
    p_best = leads.standing.p_best if leads.standing is not None else 0.0
    return f"With {words.probability(p_best)} probability {words.isolated(leads.name)} is {among}."


def decisive(answer: Answer, asked: PredictionRequest) -> Improvement:
    """The predicted improvement that decides: on the training problems, or on held-out ones."""
    return answer.held_out.improvement if asked.verdict_on == "held_out" and answer.held_out else answer.improvement


def narrow(of: Improvement) -> Interval | None:
    """The interval that a comparison shows: of 80 %, else the narrowest that there is."""
    return min(of.intervals, key=lambda one: (one.level != COMPARED_AT, one.level), default=None)


def _fresh(of: Improvement) -> str:
    shown = narrow(of)
    if of.value is None or shown is None:
        return "Fresh samples of it give no number."
    return f"Fresh samples of it predict {_predicted(of.value, shown)}."


def _predicted(value: float, interval: Interval) -> str:
    between = words.between(interval.lower, interval.upper)
    return f"{words.points(value)} {words.POINTS} ({words.level(interval.level)} interval {between})"


def so_far(found: ComparisonOut) -> str:
    """Say who leads after the rounds that have ended; nothing before the first."""
    leads = best(found)
    if leads is None or leads.standing is None:
        return ""
    standing = leads.standing
    sure = f"the best with {words.probability(standing.p_best)} probability"
    if standing.value is None or standing.interval is None:
        return f"{words.isolated(leads.name)} leads so far, {sure}."
    predicted = _predicted(standing.value, standing.interval)
    return f"{words.isolated(leads.name)} leads so far: {predicted}, {sure}."


def progress(at: ComparisonProgress) -> str:
    """Say how far a comparison is."""
    if at.of_second_probe:
        return f"second probe of the winner, {at.done:,} of {at.total:,} rollouts"
    return f"round {at.round}, {at.done:,} of at most {at.total:,} rollouts"


def chosen(found: ComparisonOut) -> str | None:
    """Say what was predicted of the winner when it was chosen, which its second probe corrects."""
    winner = found.winner
    if winner is None or winner.chosen_value is None or winner.chosen_interval is None:
        return None
    said = _predicted(winner.chosen_value, winner.chosen_interval)
    said = f"{said}: too high on average, because it was the highest"
    return f"{said}; hence the second probe" if found.spent.second_probe else said


def alike(found: ComparisonOut) -> str | None:
    """Say which cannot be told apart from the best; None before the first round has ended."""
    return (", ".join(names(found, found.alike)) or "none") if found.rounds else None


def picked(found: ComparisonOut) -> str | None:
    """Say which to train, where several were asked for."""
    if found.request.pick == 1 or found.p_best_picked is None:
        return None
    sure = f"the best is among them with {words.probability(found.p_best_picked)} probability"
    return f"{', '.join(names(found, found.picked))}: {sure}"


def stopped(found: ComparisonOut) -> str | None:
    """Say why the rounds ended; None while they go on."""
    if found.stopped_by is None:
        return None
    return f"after {words.count(len(found.rounds), 'round')}: {_reason(found, found.stopped_by)}"


def _reason(found: ComparisonOut, stop: Stop) -> str:
    asked = found.request
    said = {
        "sure": _p_best(found),
        "confidence": words.level(asked.confidence),
        "indifference": words.plain_points(asked.indifference),
    }
    return STOPPED[stop].format_map(said)


def _p_best(found: ComparisonOut) -> str:
    return "P(best)" if found.request.pick == 1 else "P(the best is among the picked ones)"


def advised(found: ComparisonOut) -> str:
    """Say in one sentence what to train, what it would gain and how sure that is; empty without a winner."""
    won, leads = found.winner, best(found)
    if won is None or leads is None:
        return ""
    of_all = words.listed([name for place in found.picked for name in names(found, [place])])
    said = SENTENCES.get(won.answer.verdict, "The best is {names}").format_map({"names": of_all})
    improvement = won.answer.improvement
    gain = (
        f"{words.with_interval(improvement)}, predicted"
        if improvement.value is not None
        else "no improvement is predicted"
    )
    of = f" for {words.isolated(leads.name)}" if len(found.picked) > 1 else ""
    return f"{said}: {gain}{of}. {_p_best(found)} {words.probability(found.p_best_picked or 0.0)}."


def ended(found: ComparisonOut) -> str:
    """Say in sentences why the rounds ended, and what choosing has taken; empty while they go on."""
    if found.stopped_by is None:
        return ""
    cost = found.spent
    if not cost.equal_split:
        return f"{STORED}."
    took = (
        f"Choosing took {words.count(cost.rollouts, 'rollout')}; an equal split would have taken {cost.equal_split:,}."
    )
    return f"{words.sentence(_reason(found, found.stopped_by))}. {took}"


def probed_again(found: ComparisonOut) -> str:
    """Say what the winner's second probe has found beside its first; empty without one."""
    won, leads = found.winner, best(found)
    if won is None or leads is None or won.chosen_value is None or won.answer.improvement.value is None:
        return ""
    if not found.spent.second_probe:
        return ""
    of = won.chosen_interval
    ends = "" if of is None else f" ({words.level(of.level)} interval {words.between(of.lower, of.upper)})"
    return (
        f"{words.isolated(leads.name)} was at {words.points(won.chosen_value)} points{ends} when it was chosen. "
        "The highest of several numbers is too high on average, so it was probed once more with fresh samples: "
        f"{words.with_interval(won.answer.improvement)}."
    )


def share(cost: Spent) -> str:
    """Write the rollouts that choosing took beside those of an equal split: 1,024, 25 % of 4,096."""
    if not cost.equal_split:
        return "0"
    return f"{cost.rollouts:,}, {words.whole_percent(cost.rollouts / cost.equal_split)} of {cost.equal_split:,}"


def spent(cost: Spent) -> str:
    """Say what a comparison took, beside an equal split."""
    if not cost.equal_split:
        return STORED
    of = words.whole_percent(cost.rollouts / cost.equal_split)
    parts = [f"{words.count(cost.rollouts, 'rollout')} to choose, {of} of the {cost.equal_split:,} of an equal split"]
    if cost.second_probe:
        parts.append(f"{cost.second_probe:,} for the second probe")
    worked = f"{words.duration(cost.seconds)} of work{words.gpu_hours(cost.gpu_hours)}"
    return f"{'; '.join([*parts, worked])}; {words.count(cost.loads, 'model load')}"


def standing(one: Compared, found: ComparisonOut) -> str:
    """Say what has become of a configuration: best, picked, eliminated; nothing for most."""
    if one.standing is None or not found.rounds:
        return ""
    said = stands(one.standing, found.rounds[-1])
    return "leads" if said == "best" and found.status != "succeeded" else said


def stands(at: Standing, after: Round) -> str:
    """Say how a configuration stands after a round; empty where it is behind, but not out."""
    if at.place == after.leader:
        return "best"
    if at.eliminated:
        return "eliminated"
    if at.refused:
        return "outside the law"
    if at.place in after.picked:
        return "picked"
    return "not told apart" if at.place in after.alike else ""


def gain_per_hour(share: float) -> str:
    """Write the predicted improvement for each hour of training, in accuracy points."""
    return words.points(share) if abs(share) < 1 else f"{100 * share:+,.0f}"
