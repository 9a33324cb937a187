import io
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel
from rich.console import Console

from gapcast.cli.printing.runs import print_held, print_run, print_runs, print_runs_ended
from gapcast.client import DEFAULT_URL
from gapcast.client.reading import read
from gapcast.contract.base import Failure, Warned
from gapcast.contract.probes import Difference, Gap
from gapcast.contract.recipes import Recipe
from gapcast.contract.training_results import EarlyStop
from gapcast.models import (
    Artifact,
    BestStep,
    Gained,
    HeldOut,
    LastCheckpoint,
    Outlook,
    Predicted,
    TrainingCost,
    TrainingProgress,
    TrainingRun,
)
from gapcast.words import curve, duration, file_size
from tests.support.training_results import evaluation, training_configuration, training_run

Part = TypeVar("Part", bound=BaseModel)

BEST = BestStep(step=30, value=0.162, se=0.027)
HELD_OUT = HeldOut(value=0.02, se=0.033, baseline=0.24, problems=64, best=BestStep(step=30, value=0.031, se=0.032))
IMPROVEMENT = Gained(value=0.158, se=0.028, best=BEST, held_out=HELD_OUT)
PREDICTED = Predicted(
    prediction_id="pred_1",
    value=0.135,
    intervals=[
        Outlook(level=0.8, lower=0.078, upper=0.14, covered=False),
        Outlook(level=0.95, lower=0.047, upper=0.223, covered=True),
    ],
    verdict="train",
)
ARTIFACT = Artifact(path="/data/models/run_1", kind="full", step=40, revision="sha256:ab", bytes=404_000)
COST = TrainingCost(seconds=130.0, gpu_hours=0.0, rollouts=20480, tokens=123456)
RUN = training_run(
    status="succeeded",
    prediction_id="pred_1",
    seed=3,
    configuration=training_configuration(recipe=Recipe(teacher="trust_region", steps=40)),
    progress=TrainingProgress(done=40, total=40, unit="steps", phase="export"),
    baseline=0.252,
    gap=Gap(value=0.143, se=0.029, student=0.252, self_teacher=0.395, problems=128, rollouts=4),
    improvement=IMPROVEMENT,
    evaluations=[
        evaluation(step=30, accuracy=0.414, improvement=Difference(value=0.162, se=0.027)),
        evaluation(step=40, accuracy=0.41, improvement=Difference(value=0.158, se=0.028)),
    ],
    collapsed=False,
    stopped_by="steps",
    predicted=PREDICTED,
    observation_id="obs_1",
    warnings=[Warned(code="no_learning", message="nothing [was] learned")],
    checkpoint=LastCheckpoint(step=40, bytes=1_234_567, created_at="2026-11-25T10:00:00Z"),
    artifact=ARTIFACT,
    cost=COST,
    versions={"torch": "2.13.0"},
    started_at="2026-11-25T09:00:01Z",
    finished_at="2026-11-25T10:00:00Z",
)
MEASURED = ("gap", "improvement", "baseline", "collapsed", "stopped_by", "observation_id", "artifact", "cost")
UNKNOWN: dict[str, Any] = dict.fromkeys(MEASURED) | {"evaluations": [], "warnings": []}


def run_of(**more: Any) -> TrainingRun:
    """A run as the client reads it."""
    return read(TrainingRun, RUN.model_copy(update=more).model_dump(mode="json"))


def changed(part: Part, **more: Any) -> Part:
    return part.model_copy(update=more)


def text_of(*, encoding: str = "utf-8", **more: Any) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    print_run(Console(file=out, width=200), run_of(**more))
    out.flush()
    out.seek(0)
    return out.read()


def test_what_was_gained_stands_beside_what_was_predicted() -> None:
    text = text_of()
    for words in (
        "lab/addition-qwen3-s on lab/addition, context hints, seed 3",
        "trust region teacher, forward KL, 40 steps; pool lab",
        "+14.3 ± 2.9 points (± 1 SE), 128 problems x 4 rollouts",
        "student 25.2 %, self-teacher 39.5 %",
        "Improvement  +15.8 ± 2.8 points (± 1 SE): 25.2 % became 41.0 %",
        "Predicted    +13.5 points, the run gained 2.3 more",
        "80 % interval: +7.8 to +14.0 points: misses the outcome",
        "95 % interval: +4.7 to +22.3 points: holds the outcome",
        "Best step    30: +16.2 ± 2.7 points (± 1 SE), best of 2, so too high",
        "Held out     +2.0 ± 3.3 points (± 1 SE), 64 problems, 24.0 % before",
        "at the best step +3.1 ± 3.2 points",
        "Accuracy     ▁██  25.2 % to 41.4 % over steps 0 to 40",
        "Collapsed    no",
        "Cost         2 min, 20,480 rollouts, 123,456 tokens",
        "Observation  obs_1 in pool lab",
        "/data/models/run_1 ",
        "the model of step 40, 404 kB",
        "Warning (no_learning): Nothing [was] learned.",
    ):
        assert words in text
    assert "Status" not in text


def test_a_terminal_without_blocks_gets_no_curve() -> None:
    assert "Accuracy     25.2 % to 41.4 %" in text_of(encoding="ascii")


def test_a_run_that_gained_less_than_predicted() -> None:
    assert "the run gained 3.5 less" in text_of(improvement=changed(IMPROVEMENT, value=0.1))


def test_a_refused_prediction_has_no_figure() -> None:
    predicted = changed(PREDICTED, value=None, intervals=[], verdict="refused")
    assert "Predicted    nothing, pred_1 was refused" in text_of(predicted=predicted)


def test_a_run_without_a_prediction_compares_with_none() -> None:
    text = text_of(predicted=None, prediction_id=None)
    assert "Predicted" not in text
    assert "holds the outcome" not in text


def test_a_collapse_is_shouted() -> None:
    text = text_of(collapsed=True, stopped_by="collapse")
    assert "Collapsed    YES: half of the baseline was lost beyond noise, and the run ended there" in text


def test_a_task_without_held_out_problems() -> None:
    assert "Held out     no problems were" in text_of(improvement=changed(IMPROVEMENT, held_out=None))


def test_an_adapter_and_gpu_hours() -> None:
    text = text_of(artifact=changed(ARTIFACT, kind="lora"), cost=changed(COST, gpu_hours=1.25, tokens=None))
    assert "the LoRA adapter of step 40" in text
    assert "2 min, 1.2 GPU-hours, 20,480 rollouts  " in text


def test_a_paused_run_says_where_it_is_and_how_it_goes_on() -> None:
    progress = TrainingProgress(done=20, total=40, unit="steps", phase="training")
    intervals = [changed(one, covered=None) for one in PREDICTED.intervals]
    waits = {"status": "paused", "progress": progress, "predicted": changed(PREDICTED, intervals=intervals)}
    text = text_of(**UNKNOWN | waits)
    assert "Status     paused, training: step 20 of 40" in text
    assert "checkpoint of step 40 (1.23 MB), 2026-11-25 10:00 UTC" in text
    assert "gapcast runs resume run_1" in text
    assert "+4.7 to +22.3 points " in text
    assert "outcome" not in text
    assert "Accuracy" not in text


def test_a_failed_run_says_why() -> None:
    error = Failure(code="out_of_memory", message="no [more] memory", category="user")
    text = text_of(**UNKNOWN | {"status": "failed", "error": error, "checkpoint": None})
    assert "failed: no [more] memory\n" in text


def test_seeds_are_summed_up() -> None:
    out = io.StringIO()
    gains = (0.1, 0.2)
    runs = [run_of(seed=seed, improvement=changed(IMPROVEMENT, value=gain)) for seed, gain in enumerate(gains)]
    failed = run_of(**UNKNOWN | {"seed": 2, "status": "failed"})
    print_runs_ended(Console(file=out, width=200, force_terminal=True, no_color=True), [*runs, failed])
    assert out.getvalue().endswith(
        "2 runs\x1b[0m: improvement +15.0 points on average (+10.0 to +20.0, standard deviation 7.1)\n"
    )
    assert out.getvalue().count("╭") == 3


def test_runs_are_listed_one_a_line() -> None:
    out = io.StringIO()
    queued = run_of(**UNKNOWN | {"id": "run_2", "status": "queued", "progress": None, "predicted": None})
    print_runs(Console(file=out, width=80), [run_of(collapsed=True, group_id="rgrp_1"), queued])
    first, second = [line.split() for line in out.getvalue().splitlines()[1:]]
    assert first[:5] == ["run_1", "succeeded,", "collapsed", "lab/addition-qwen3-s", "lab/addition"]
    assert first[5:] == ["hints", "3", "40", "/", "40", "+14.3", "±", "2.9", "+15.8", "±", "2.8", "+13.5", "rgrp_1"]
    assert second == ["run_2", "queued", "lab/addition-qwen3-s", "lab/addition", "hints", "3"]


@pytest.mark.parametrize(("seconds", "words"), [(12.4, "12 s"), (130, "2 min"), (3 * 3600, "3.0 h")])
def test_times_in_their_largest_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("size", "words"), [(512, "512 B"), (999_900_000, "1 GB"), (16_400_000_000, "16.4 GB")])
def test_sizes_in_their_largest_unit(size: int, words: str) -> None:
    assert file_size(size) == words


def test_a_curve_has_its_ends_and_no_more_than_fit() -> None:
    assert curve([0.0, 0.5, 1.0]) == "▁▅█"
    assert curve([0.3, 0.3]) == "▅▅"
    long = curve([n / 999 for n in range(1000)], 8)
    assert long == "▁▂▃▄▅▆▇█"


def test_a_stopped_run_says_why_and_where_it_would_have_ended() -> None:
    stop = EarlyStop(step=20, rule="harm", improvement=Difference(value=-0.05, se=0.03), p_above_min_gain=0.01)
    text = text_of(**UNKNOWN | {"status": "paused", "held": "harm", "stop": stop})
    assert "paused" in text
    assert ", as it solves fewer problems than before training" in text
    said = "at step 20: it solves fewer problems than before training; its own curve leads to -5.0 ± 3.0 points"
    assert said in " ".join(text.replace("│", " ").split())
    out = io.StringIO()
    print_held(Console(file=out, width=200), run_of(**UNKNOWN | {"held": "harm"}), DEFAULT_URL)
    assert out.getvalue().splitlines() == [
        "To go on to its end: gapcast runs resume run_1",
        "To end it for good: gapcast runs cancel run_1",
    ]
