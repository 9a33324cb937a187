"""What people read: on the terminal and on the page alike."""

from typing import Any

import pytest

from gapcast import words
from gapcast.contract.base import Paced, Warned
from gapcast.contract.contexts import context_of
from gapcast.contract.fits import Calibration, LevelCalibration
from gapcast.contract.needs import JobNeeds
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainedOn
from gapcast.contract.waiting import RunningJob, Waiting

NONE = {"collapsed": 0, "refused": 0, "known_before": 0, "without_quantiles": 0}


def calibration(n: int, **changes: Any) -> Calibration:
    fields: dict[str, Any] = {
        "fit_id": "fit_1",
        "n": n,
        "predictions": n,
        "left_out": NONE,
        "bias": 0.004,
        "bias_se": 0.009,
        "mae": 0.02,
        "mean_pit": 0.5,
        "pit_histogram": [0] * 10,
        "levels": [
            LevelCalibration(level=0.8, coverage=10 / 12, lower=0.552, upper=0.953, width=0.093),
            LevelCalibration(level=0.95, coverage=1, lower=0.757, upper=1, width=0.142),
        ],
        "outcomes": [],
    }
    return Calibration(**(fields | changes))


NOTHING: dict[str, Any] = {"bias": None, "bias_se": None, "levels": []}


@pytest.mark.parametrize(
    ("steps", "problems", "evaluated", "said"),
    [
        (150, 128, 128, "128 training problems, 37.5 passes"),
        (150, 2000, 128, "2,000 training problems, 2.4 passes, evaluated on 128 of them"),
        (4, 128, 64, "128 training problems, 1 pass, evaluated on 64 of them"),
        (1, 512, 512, "512 training problems, 0.0625 passes"),
        (100_000, 128, 128, "128 training problems, 25,000 passes"),
    ],
)
def test_what_a_run_trains_on(steps: int, problems: int, evaluated: int, said: str) -> None:
    assert words.trained_on(TrainedOn.of(Recipe(steps=steps), problems, evaluated)) == said


class TestCalibration:
    def test_nothing_yet(self) -> None:
        said = words.calibration("team", calibration(0, **NOTHING))
        assert said == "No prediction has met its outcome in pool team yet."

    def test_coverage_width_and_bias_in_one_sentence(self) -> None:
        assert words.calibration("team", calibration(12)) == (
            "Of 12 outcomes, 10 came inside their 80 % interval (83 %, 95 % confidence 55 to 95 %) and 12 came inside "
            "their 95 % interval (100 %, 95 % confidence 76 to 100 %); the intervals were 9.3 and 14.2 accuracy points "
            "wide on average, and what came was 0.4 ± 0.9 above the prediction."
        )

    def test_one_outcome_has_no_standard_error(self) -> None:
        said = words.calibration("team", calibration(1, bias=-0.021, bias_se=None))
        assert said.startswith("Of 1 outcome, ")
        assert said.endswith("what came was 2.1 below the prediction.")

    def test_seeds_of_one_prediction_are_told(self) -> None:
        assert "They belong to 4 predictions: seeds" in words.calibration("team", calibration(12, predictions=4))

    @pytest.mark.parametrize("found", [{"n": 12}, {"n": 0} | NOTHING])
    def test_what_does_not_count_is_told_either_way(self, found: dict[str, Any]) -> None:
        left_out = NONE | {"collapsed": 2, "known_before": 1}
        said = words.calibration("team", calibration(**found, left_out=left_out))
        assert said.endswith(" Left out: 2 collapsed and 1 known before their prediction.")


class TestWarning:
    def test_accuracies_are_points_on_a_screen(self) -> None:
        message = "The A/A control is -0.082 +- 0.020"
        warned = Warned(code="none_control_off", message=message, numbers={"value": -0.082, "se": 0.02})
        assert words.warning(warned).startswith("The A/A control is -8.2 ± 2.0 points: two samples")

    def test_a_baseline_is_an_accuracy_and_a_step_a_number(self) -> None:
        warned = Warned(code="collapsed", message="m", numbers={"step": 40, "baseline": 0.4})
        said = "At step 40 the student has lost more than half of its baseline of 40.0 %. Train again with a lower "
        assert words.warning(warned) == f"{said}learning rate or fewer steps."

    @pytest.mark.parametrize("code", ["from_a_newer_server", "extrapolation"])
    def test_an_unknown_code_and_a_warning_without_numbers_are_the_apis_own_sentence(self, code: str) -> None:
        assert words.warning(Warned(code=code, message="gap 0.280 is outside")) == "Gap 0.280 is outside."


class TestVerdict:
    def test_it_says_where_the_interval_lies(self) -> None:
        assert words.verdict("train", 0.0) == ("Train", "the whole 80 % interval is above 0 accuracy points.")
        assert words.verdict("skip", 0.02).reason == "the whole 80 % interval is below +2.0 accuracy points."

    def test_one_of_a_newer_server_is_its_code(self) -> None:
        assert words.verdict("ask_again", 0.0) == ("Ask again", "")


class TestNumbers:
    @pytest.mark.parametrize(("share", "text"), [(0.0, "0.0"), (-0.0004, "0.0"), (-0.031, "-3.1"), (0.163, "+16.3")])
    def test_points(self, share: float, text: str) -> None:
        assert words.points(share) == text

    @pytest.mark.parametrize(("seconds", "text"), [(0.84, "0.8 s"), (9.96, "10 s"), (5400, "1.5 h")])
    def test_durations(self, seconds: float, text: str) -> None:
        assert words.duration(seconds) == text

    @pytest.mark.parametrize(("hours", "text"), [(None, ""), (0.004, ", < 0.01 GPU-hours"), (123.4, ", 123 GPU-hours")])
    def test_gpu_hours(self, hours: float | None, text: str) -> None:
        assert words.gpu_hours(hours) == text

    @pytest.mark.parametrize(("share", "text"), [(0.8, "80 %"), (0.995, "99.5 %"), (0.999, "99.9 %")])
    def test_levels(self, share: float, text: str) -> None:
        assert words.level(share) == text


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"kind": "none"}, "none"),
        ({"kind": "peer_solution"}, "peer solution"),
        ({"kind": "hints", "options": {"level": 3}}, "hints, 3 shown"),
        ({"kind": "hints", "options": {"source": "model"}}, "hints, from a peer solution"),
        (
            {"kind": "feedback", "options": {"corruption": {"rate": 0.2, "coverage": 0.5}}},
            "feedback, 20 % wrong, 50 % covered",
        ),
        (
            {
                "kind": "placebo",
                "options": {"of": "hints", "options": {"level": 1}, "corruption": {"rate": 0.1}},
            },
            "placebo of hints, 1 shown, 10 % wrong",
        ),
    ],
)
def test_a_context_is_its_kind_and_what_is_unusual(asked: dict[str, Any], text: str) -> None:
    assert words.context(context_of(asked)) == text


BEFORE = RunningJob(id="run_1", kind="training", seconds=200, seconds_left=720)


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (None, "waiting for a worker"),
        (Waiting(queue="probes", ahead=0, workers=1, running=None), "waiting for a worker"),
        (Waiting(queue="probes", ahead=1, workers=2, running=None), "waiting for a worker, 1 job ahead"),
        (
            Waiting(queue="probes", ahead=3, workers=0, running=BEFORE),
            "no worker for probes has been seen: start one with `gapcast worker`",
        ),
        (
            Waiting(queue="training", ahead=0, workers=0, running=None),
            "no worker for training runs has been seen: start one with `gapcast worker`",
        ),
        (
            Waiting(queue="training", ahead=0, workers=0, needs=JobNeeds(labels=["gpu"], memory_gb=24), running=None),
            "no worker for training runs has been seen: start one with `gapcast worker --label gpu --memory-gb 24`",
        ),
        (
            Waiting(queue="probes", ahead=0, workers=0, unable=2, needs=JobNeeds(labels=["gpu"]), running=None),
            "no worker for probes has the label gpu (2 others seen): start one with `gapcast worker --label gpu`",
        ),
        (
            Waiting(
                queue="probes",
                ahead=0,
                workers=0,
                unable=1,
                needs=JobNeeds(model="qwen3-8b", labels=["a100"], memory_gb=24),
                running=None,
            ),
            "no worker for probes has the model qwen3-8b, the label a100 and 24 GB of memory (1 other seen): start one "
            "with `gapcast worker --label a100 --memory-gb 24`, with qwen3-8b under [[models]] in its settings",
        ),
        (Waiting(queue="training", ahead=0, workers=1, running=BEFORE), "waiting for run_1 (about 12 min left)"),
        (
            Waiting(queue="training", ahead=2, workers=1, running=BEFORE.model_copy(update={"seconds_left": None})),
            "waiting for run_1 (running for 3 min), 2 jobs ahead",
        ),
        (
            Waiting(queue="training", ahead=0, workers=1, running=BEFORE.model_copy(update={"seconds_left": 0.2})),
            "waiting for run_1 (almost done)",
        ),
        (
            Waiting(queue="training", ahead=0, workers=1, running=BEFORE.model_copy(update={"id": None})),
            "waiting for another job (about 12 min left)",
        ),
    ],
)
def test_why_a_job_waits(why: Waiting | None, said: str) -> None:
    assert words.waits(why) == said


def test_a_pace_is_said_once_it_is_known() -> None:
    assert words.pace(Paced()) == ""
    assert words.pace(Paced(rate=1.25, seconds_left=180)) == "1.25 a second, about 3 min left"


class TestIsolated:
    @pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "na\u00efve \u6a21\u578b", "", "a-b (2)"])
    def test_names_that_turn_nothing_stay_as_they_are(self, name: str) -> None:
        assert words.isolated(name) == name

    @pytest.mark.parametrize(
        "name", ["\u05e9\u05dc\u05d5\u05dd", "\u202edesrever", "\u2067open", "x\u2069\u202eclosed\u2069"]
    )
    def test_others_end_where_their_isolation_ends(self, name: str) -> None:
        written = words.isolated(name)
        depth = 0
        for place, sign in enumerate(written):
            depth += (sign in "\u2066\u2067\u2068") - (sign == "\u2069")
            assert depth > 0 or place == len(written) - 1
        assert depth == 0
        assert written.strip("\u2066\u2067\u2068\u2069").replace("\u2069", "") == name.strip("\u2067\u2069").replace(
            "\u2069", ""
        )

    def test_sentences_keep_names_to_themselves(self) -> None:
        asked = words.asked_about("\u202eledom", "task", context_of({"kind": "hints"}))
        assert asked == "\u2068\u202eledom\u2069 on task, context hints"
