"""Comparisons as the API shows them, made of the contract's classes; any field can be overridden."""

from typing import Any

from gapcast.contract.comparisons import COMPARED_AT, ComparisonRequest, Round, Spent, Standing, Winner
from gapcast.contract.events import ComparisonProgressed, ComparisonRound, EventData
from gapcast.contract.fits import LinkWeights
from gapcast.contract.predictions import Answer, Cost, Improvement, Interval, LawUsed
from gapcast.contract.probes import Controls, Gap
from gapcast.models import Compared, Comparison, Event

BASE = {"model": "lab/addition-qwen3-s", "task": "lab/addition"}
CONTEXTS: list[dict[str, Any]] = [
    {"kind": "feedback"},
    {"kind": "hints"},
    {"kind": "hints", "options": {"level": 3}},
]
VALUES = (0.195, 0.366, 0.156)
P_BEST = (0.01, 0.97, 0.02)


def request(**change: Any) -> ComparisonRequest:
    """Three contexts of the lab: feedback, hints and some of the hints."""
    return ComparisonRequest.model_validate({"base": BASE, "vary": {"context": CONTEXTS}} | change)


def interval(value: float) -> Interval:
    """An interval of 10 points around a value."""
    return Interval(level=COMPARED_AT, lower=value - 0.05, upper=value + 0.05)


def standing(place: int, **change: Any) -> Standing:
    """How one of the three stands after the first round."""
    value = VALUES[place]
    fields = {
        "place": place,
        "problems": 32,
        "gap": value + 0.05,
        "gap_se": 0.05,
        "value": value,
        "interval": interval(value),
        "p_best": P_BEST[place],
        "p_picked": P_BEST[place],
        "loss": 0.366 - value,
    }
    return Standing(**(fields | change))


def round_(number: int = 1, **change: Any) -> Round:
    """A round after which hints lead."""
    fields = {
        "number": number,
        "rollouts": 640 * number,
        "standings": [standing(place) for place in range(3)],
        "leader": 1,
        "picked": [1],
        "p_best_picked": 0.97,
        "alike": [],
    }
    return Round(**(fields | change))


def answer(value: float | None, verdict: str = "train", **change: Any) -> Answer:
    """What is predicted of a configuration whose run takes half an hour."""
    intervals = [] if value is None else [interval(value)]
    fields = {
        "gap": Gap(value=0.4, se=0.03, student=0.25, self_teacher=0.65, problems=128, rollouts=4),
        "controls": Controls(none=None, placebo=None, leak=None),
        "improvement": Improvement(
            value=value, intervals=intervals, measurement_se=0.03, p_positive=0.99, p_collapse=0.02
        ),
        "law": LawUsed(
            fit_id="fit_1",
            family="lab-qwen3",
            cell=None,
            n=42,
            links=LinkWeights(linear=1.0, tanh=0.0, exp=0.0),
            status="fitted",
            slope=0.9,
            slope_interval=(0.8, 1.0),
            intercept=0.0,
            intercept_interval=(-0.02, 0.02),
        ),
        "verdict": verdict,
        "warnings": [],
        "cost": Cost(probe_seconds=2.0, training_seconds_estimate=1800.0),
    }
    return Answer(**(fields | change))


def comparison(**change: Any) -> Comparison:
    """A comparison that hints have won, and whose second probe says less than the first."""
    asked, after = change.get("request", request()), change.get("rounds", [round_()])
    last = after[-1] if after else None
    ended = change.get("status", "succeeded") == "succeeded"
    compared = [
        Compared(
            place=place,
            name=one.name or "",
            request=one,
            standing=last.standings[place] if last is not None else None,
            prediction_id=f"pred_{place}" if ended else None,
            answer=answer(VALUES[place]) if ended else None,
            gain_per_hour=2 * VALUES[place] if ended else None,
        )
        for place, one in enumerate(asked.asked)
    ]
    first = last.leader if last is not None else 0
    fields = {
        "id": "cmp_1",
        "status": "succeeded",
        "request": asked,
        "fit_id": "fit_1",
        "pool": "lab",
        "configurations": sorted(compared, key=lambda one: (one.place != first, one.place)),
        "rounds": after,
        "spent": Spent(rollouts=640, second_probe=2048, equal_split=2560, seconds=8.3, loads=1),
        "created_at": "2026-11-29T16:00:00Z",
        "finished_at": None,
    }
    if last is not None:
        fields |= {"alike": last.alike, "picked": last.picked, "p_best_picked": last.p_best_picked}
    if ended:
        fields |= {"stopped_by": "decided", "winner": winner()}
    return Comparison(**(fields | change))


def winner(**change: Any) -> Winner:
    """Hints, at 36.6 points when they were chosen and at 31.0 by fresh samples."""
    fields = {
        "place": 1,
        "prediction_id": "pred_second",
        "answer": answer(0.31),
        "chosen_value": VALUES[1],
        "chosen_interval": interval(VALUES[1]),
    }
    return Winner(**(fields | change))


def happened(*data: EventData) -> list[Event]:
    """Events with this data, each a second after the one before."""
    return [
        Event(id=str(number), type=one.type, data=one.written(), created_at=f"2026-11-29T16:00:{number:02}Z")
        for number, one in enumerate(data)
    ]


def told(after: Round) -> ComparisonRound:
    """A round as its event has it."""
    return ComparisonRound(**dict(after))


def progressed(done: int, total: int, number: int = 1, *, second: bool = False) -> ComparisonProgressed:
    """How far a comparison is, as its event has it."""
    return ComparisonProgressed(done=done, total=total, round=number, of_second_probe=second)
