"""What the page shows of a comparison beside its plot: the lines of its table, and what is known of the whole."""

from collections.abc import Iterator
from typing import NamedTuple

from gapcast import comparison_words, words
from gapcast.contract.comparisons import Compared, ComparisonOut, Winner
from gapcast.contract.predictions import Answer, Interval
from gapcast.contract.probes import Difference
from service.web.facts import Fact


class ComparedRow(NamedTuple):
    """A line of the table: a configuration, or the winner's second probe; what is not known is empty."""

    name: str
    prediction_id: str | None
    standing: str
    predicted: str
    interval: str
    p_best: str
    loss: str
    gap: str
    problems: str
    cost: str
    training: str
    gain_per_hour: str
    verdict: str
    mark: str
    """how the line looks"""


def compared_rows(found: ComparisonOut) -> Iterator[ComparedRow]:
    """Return the lines in their order, the best first; the winner's second probe stands below it."""
    for one in found.configurations:
        yield _row(one, found)
        if found.winner is not None and found.winner.place == one.place and found.spent.second_probe:
            yield _second(found.winner, one)


def _row(one: Compared, found: ComparisonOut) -> ComparedRow:
    at, answer = one.standing, one.answer
    if at is None:
        return ComparedRow(one.name, one.prediction_id, *[""] * 12)
    gap = Difference(value=at.gap, se=at.gap_se) if at.gap is not None and at.gap_se is not None else None
    return ComparedRow(
        name=one.name,
        prediction_id=one.prediction_id,
        standing=comparison_words.standing(one, found),
        predicted=_points(at.value),
        interval=_between(at.interval),
        p_best=words.probability(at.p_best),
        loss=words.plain_points(at.loss),
        gap=words.measured(gap) if gap is not None else "",
        problems=f"{at.problems:,}",
        **_costs(answer),
        gain_per_hour=comparison_words.gain_per_hour(one.gain_per_hour) if one.gain_per_hour is not None else "",
        verdict=_verdict(answer),
        mark="best" if one is comparison_words.best(found) else "eliminated" if at.eliminated else "",
    )


def _second(winner: Winner, of: Compared) -> ComparedRow:
    answer = winner.answer
    improvement = comparison_words.decisive(answer, of.request)
    return ComparedRow(
        name="second probe, fresh samples",
        prediction_id=winner.prediction_id,
        standing="",
        predicted=_points(improvement.value),
        interval=_between(comparison_words.narrow(improvement)),
        p_best="",
        loss="",
        gap=words.measured(answer.gap),
        problems=f"{answer.gap.problems:,}" if answer.gap.problems else "",
        **_costs(answer),
        gain_per_hour="",
        verdict=_verdict(answer),
        mark="second",
    )


def _points(share: float | None) -> str:
    return words.points(share) if share is not None else "none"


def _between(interval: Interval | None) -> str:
    return words.between(interval.lower, interval.upper) if interval is not None else ""


def _verdict(answer: Answer | None) -> str:
    return words.verdict(answer.verdict, 0.0).name if answer is not None else ""


def _costs(answer: Answer | None) -> dict[str, str]:
    if answer is None:
        return {"cost": "", "training": ""}
    drawn = answer.probe.cost if answer.probe is not None else None
    seconds, training = answer.cost.probe_seconds, answer.cost.training_seconds_estimate
    parts = [words.count(drawn.rollouts_drawn, "rollout")] if drawn is not None else []
    parts += [f"{words.duration(seconds)}{words.gpu_hours(answer.cost.probe_gpu_hours)}"] if seconds is not None else []
    return {"cost": ", ".join(parts), "training": words.duration(training) if training is not None else "unknown"}


def comparison_facts(found: ComparisonOut) -> Iterator[Fact]:
    """Say what is known of the whole."""
    yield Fact("To train", comparison_words.picked(found), "picked")
    yield Fact("When chosen", comparison_words.chosen(found), "chosen")
    yield Fact("Not told apart", comparison_words.alike(found), "alike")
    stopped = comparison_words.stopped(found)
    yield Fact("Stopped", words.sentence(stopped) if stopped is not None else None, "stopped")
    yield Fact("Spent", comparison_words.spent(found.spent) if found.spent.loads else None, "spent")
    yield Fact("Fit", found.fit_id, "fit", f"/law?fit={found.fit_id}", words.short_id(found.fit_id))
