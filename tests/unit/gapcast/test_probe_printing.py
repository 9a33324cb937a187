import io
from typing import Any

import pytest
from rich.console import Console

from gapcast.cli.printing.predictions import print_prediction
from gapcast.cli.printing.probes import print_probe
from gapcast.contract.base import Failure
from gapcast.contract.fits import AtGap, LinkWeights
from gapcast.contract.predictions import Cost, Improvement, LawUsed, PredictionOut, PredictionRequest
from gapcast.contract.probes import Control, Covariates, Difference, Gap, Leak, LogRatio, ProbeCost, ProbeSeconds
from gapcast.contract.samples import StoredSamples
from tests.support.results import arm, probe, probe_result

FOUND = probe_result(
    gap=Gap(value=0.172, se=0.031, student=0.273, self_teacher=0.445, problems=128, rollouts=4),
    net_gap=Difference(value=0.358, se=0.033),
    arms={
        "student": arm(rollouts=4, truncated=0.125),
        "none": arm(rollouts=4),
        "context": arm(rollouts=4, contexts_missing={"not_covered": 64, "no_hints": 64}),
        "placebo": arm(rollouts=4),
    },
    covariates=Covariates(
        headroom=0.727,
        pass_at_k={"1": 0.273, "4": 0.51},
        mean_sd=0.2,
        log_ratio=LogRatio(mean=-0.125, top_tenth=0.54, tokens=100),
    ),
    seconds=ProbeSeconds(load=3.5, probe=2.1),
    cost=ProbeCost(rollouts_drawn=1024, rollouts_reused=512, prompt_tokens=10, completion_tokens=20, gpu_hours=0.0),
)
CONTROLS = FOUND.controls.model_copy(
    update={
        "none": Control(value=0.001, se=0.02),
        "placebo": Control(value=-0.186, se=0.025),
        "leak": Leak(copied=0.002, contains_answer=0.5),
    }
)
RESULT = FOUND.model_copy(update={"controls": CONTROLS})


def text_of(change: dict[str, Any] | None = None, **more: Any) -> str:
    """What is printed of a probe of up to 256 problems; its result may be changed, and all else of it."""
    out = io.StringIO()
    shown = {"result": RESULT.model_copy(update=change or {})} | more
    print_probe(Console(file=out, width=200), probe({"problems": 256}, **shown))
    return out.getvalue()


def test_the_gap_and_everything_that_keeps_it_honest() -> None:
    text = text_of(samples=StoredSamples(count=512, bytes=9000))
    for words in (
        "512 to read: gapcast probes samples probe_",
        "+17.2 ± 3.1 points (± 1 SE), 128 problems x 4 rollouts",
        "95 % interval: +11.1 to +23.3 points",
        "student 27.3 %, self-teacher 44.5 %",
        "Net gap    +35.8 ± 3.3 points (± 1 SE), self-teacher minus placebo",
        "none (A/A): +0.1 ± 2.0 points",
        "placebo: -18.6 ± 2.5 points",
        "0.2 % of answers appear in their context, 50.0 % of contexts contain the right answer",
        "self-teacher: missing in 25.0 % of rollouts: left out by the coverage (64), no hints (64)",
        "72.7 points above the student",
        "27.3 % with 1, 51.0 % with 4",
        "-0.125 nats a token",
        "at max_tokens: student 12.5 %",
        "2.1 s and 3.5 s to load the model",
        "1024 rollouts drawn, 512 reused from earlier probes",
    ):
        assert words in text
    assert "shuffled" not in text
    assert "GPU-hours" not in text
    assert "Stopped" not in text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("none", 0.1, "two samples of one prompt differ"),
        ("none", -0.1, "two samples of one prompt differ"),
        ("placebo", 0.1, "helps although it holds no information about the problem"),
        ("shuffled_feedback", 0.1, "shuffled feedback: +10.0 ± 2.0 points (± 1 SE) helps although"),
    ],
)
def test_a_control_that_is_off_is_said_to_be(name: str, value: float, words: str) -> None:
    controls = CONTROLS.model_copy(update={name: Control(value=value, se=0.02)})
    assert words in text_of({"controls": controls})


@pytest.mark.parametrize(("by", "words"), [("width", "after 128 of 256 problems"), ("most_problems", "still wider")])
def test_a_sequential_probe_says_why_it_stopped(by: str, words: str) -> None:
    assert words in text_of({"stopped_by": by})


def test_gpu_hours_where_a_gpu_was_held() -> None:
    assert FOUND.cost is not None
    assert "0.013 GPU-hours" in text_of({"cost": FOUND.cost.model_copy(update={"gpu_hours": 0.0125})})


def test_what_is_known_of_a_cancelled_probe() -> None:
    partial = RESULT.model_copy(update={"seconds": None, "cost": None, "stopped_by": None})
    text = text_of(status="cancelled", result=None, partial=partial)
    assert text.startswith("cancelled\n")
    assert "128 of 256 problems x 4 rollouts" in text
    assert "Cost" not in text


def test_a_failed_probe_says_why() -> None:
    error = Failure(code="x", message="no [such] file", category="server")
    first, asked, *rest = text_of(status="failed", result=None, error=error).splitlines()
    assert first.endswith(": failed: no [such] file")
    assert asked.startswith("Asked: ")
    assert rest == ["Nothing was measured yet."]


def test_an_interval_stays_within_what_accuracies_allow() -> None:
    gap = RESULT.gap.model_copy(update={"value": 0.9, "se": 0.1})
    assert "+70.4 to +100.0 points" in text_of({"gap": gap})


def test_a_prediction_shows_the_net_gap_and_every_control() -> None:
    law = LawUsed(
        fit_id="f",
        family="x",
        cell=None,
        slope=1.0,
        slope_interval=[0.9, 1.1],
        intercept=0.0,
        intercept_interval=[-0.1, 0.1],
        n=3,
        links=LinkWeights(linear=1.0, tanh=0.0, exp=0.0),
        at_common_gap=AtGap(gap=0.15, improvement=0.15, improvement_interval=[0.1, 0.2]),
        status="fitted",
    )
    request = {"model": {"name": "m"}, "task": "t", "context": {"kind": "hints"}}
    prediction = PredictionOut(
        id="pred_1",
        status="succeeded",
        request=PredictionRequest.model_validate(request),
        probe_id="probe_1",
        gap=RESULT.gap,
        controls=CONTROLS.model_copy(update={"shuffled_feedback": CONTROLS.none}),
        improvement=Improvement(value=None, intervals=[], measurement_se=0.03, p_positive=None, p_collapse=0.1),
        law=law,
        verdict="refused",
        cost=Cost(probe_seconds=2.0, probe_gpu_hours=0.5, training_seconds_estimate=None),
        probe=RESULT,
        created_at="2026-11-22T10:00:00Z",
        finished_at="2026-11-22T10:01:00Z",
    )
    out = io.StringIO()
    print_prediction(Console(file=out, width=200), prediction)
    for words in (
        "Net gap      +35.8 ± 3.3",
        "shuffled feedback: +0.1 ± 2.0",
        "took 2.0 s, 0.5 GPU-hours",
        "Law          of cell x: slope 1.00 (95 % confidence 0.90 to 1.10)",
        "fitted on 3 observations; straight",
    ):
        assert words in out.getvalue()
