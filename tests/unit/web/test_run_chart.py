from dataclasses import replace

import altair as alt
import pytest

from service.web.points import Look, RunCurve
from service.web.run_plot import AXIS_WIDTH, BAND, accuracy_chart, loss_chart

RUN = RunCurve(
    steps=20,
    baseline=0.25,
    self_teacher=0.55,
    looks=[
        Look(step=10, accuracy=0.45, improvement=0.2, improvement_se=0.03, held_out=0.1),
        Look(step=20, accuracy=0.53, improvement=0.28, improvement_se=0.04, held_out=0.05),
    ],
    held_out_baseline=0.2,
    predicted=0.24,
    intervals=[(0.8, 0.16, 0.31), (0.95, 0.12, 0.35)],
    losses=[(1, 0.5), (20, 0.02)],
)
BEGUN = RunCurve(steps=20, baseline=0.25, self_teacher=0.55)
STATES = [RUN, BEGUN, replace(RUN, looks=(), held_out_baseline=None), replace(RUN, predicted=None, intervals=())]


def drawn(run: RunCurve) -> dict:
    spec = accuracy_chart(run)
    assert spec is not None
    return spec


def layers(spec: dict, style: str) -> list[dict]:
    return [layer for layer in spec["layer"] if layer["mark"].get("style") == style]


def rows(spec: dict, style: str, *names: str) -> list[tuple]:
    """What the marks of one style draw: the fields of these channels, or of their own x and y."""
    found = []
    for layer in layers(spec, style):
        fields = [layer["encoding"][name]["field"] for name in names or ("x", "y")]
        found += [tuple(round(row[field], 6) for field in fields) for row in spec["datasets"][layer["data"]["name"]]]
    return found


@pytest.mark.parametrize("run", STATES)
def test_every_state_is_a_valid_specification(run) -> None:
    for spec in (drawn(run), loss_chart(RUN)):
        alt.LayerChart.validate(spec)


def test_nothing_is_drawn_before_the_baseline_is_measured() -> None:
    assert accuracy_chart(RunCurve(steps=20, predicted=0.2, intervals=[(0.8, 0.1, 0.3)])) is None
    assert loss_chart(RunCurve(steps=20)) is None


def test_the_curve_begins_at_the_baseline_and_has_every_look() -> None:
    spec = drawn(RUN)
    assert rows(spec, "student") == [(0, 25), (10, 45), (20, 53)]
    assert rows(spec, "look") == [(10, 45), (20, 53)]


def test_bars_are_one_standard_error_of_the_improvement() -> None:
    assert rows(drawn(RUN), "look-error", "x", "y", "y2") == [(10, 42, 48), (20, 49, 57)]


def test_both_accuracies_before_training_are_lines_over_the_whole_run() -> None:
    spec = drawn(BEGUN)
    assert rows(spec, "baseline") == [(0, 25), (20, 25)]
    assert rows(spec, "self-teacher") == [(0, 55), (20, 55)]


def test_what_was_predicted_stands_on_the_baseline_at_the_last_step() -> None:
    early = replace(RUN, looks=RUN.looks[:1])
    for spec in (drawn(RUN), drawn(early)):
        assert rows(spec, "forecast-mean") == [(20, 49)]
        assert rows(spec, "forecast", "x", "y", "y2") == [(20, 37, 60), (20, 41, 56)]
    [layer] = layers(spec, "forecast-mean")
    [row] = spec["datasets"]["predicted"]
    assert {one["title"]: row[one["field"]] for one in layer["encoding"]["tooltip"]} == {
        "Predicted": "+24.0 accuracy points",
        "95 % interval": "+12.0 to +35.0 accuracy points",
        "80 % interval": "+16.0 to +31.0 accuracy points",
    }


def test_without_a_prediction_there_is_no_band() -> None:
    spec = drawn(replace(RUN, predicted=None, intervals=()))
    assert not layers(spec, "forecast")
    assert not layers(spec, "forecast-mean")
    assert "predicted" not in spec["description"]


def test_what_is_expected_now_opens_from_the_newest_look_to_the_last_step() -> None:
    begun = replace(RUN, looks=RUN.looks[:1], fan=[(0.8, 0.16, 0.3), (0.95, 0.1, 0.36)])
    spec = drawn(begun)
    alt.LayerChart.validate(spec)
    assert rows(spec, "fan", "x", "y", "y2") == [(10, 45, 45), (20, 35, 61), (10, 45, 45), (20, 41, 55)]
    assert "now expected with 80 % +16.0 to +30.0 accuracy points" in spec["description"]
    for run in (RUN, replace(begun, looks=()), replace(begun, looks=RUN.looks)):
        assert not layers(drawn(run), "fan")


def test_held_out_problems_have_a_line_and_a_baseline_of_their_own() -> None:
    assert rows(drawn(RUN), "held-out") == [(0, 20), (10, 30), (20, 25)]
    for run in (replace(RUN, held_out_baseline=None), BEGUN):
        assert not layers(drawn(run), "held-out")


def test_the_loss_is_drawn_over_the_steps_of_the_whole_run() -> None:
    spec = loss_chart(replace(RUN, losses=RUN.losses[:1]))
    assert spec is not None
    assert rows(spec, "loss") == [(1, 0.5)]
    assert rows(spec, "zero") == [(0, 0), (20, 0)]


def test_steps_of_the_two_plots_stand_below_each_other() -> None:
    encodings = [layer["encoding"] for spec in (drawn(RUN), loss_chart(RUN)) for layer in spec["layer"]]
    assert {one["x"]["scale"]["padding"] for one in encodings} == {BAND}
    assert {one["y"]["axis"]["minExtent"] for one in encodings} == {AXIS_WIDTH}


def test_axes_say_their_units() -> None:
    titles = {layer["encoding"]["y"]["title"] for spec in (drawn(RUN), loss_chart(RUN)) for layer in spec["layer"]}
    assert titles == {"Accuracy (%)", "Loss (nats/token)"}


def test_the_description_says_what_the_plot_shows() -> None:
    said = drawn(RUN)["description"]
    assert "2 evaluations, the last 53.0 % at step 20" in said
    assert "before training 25.0 %, the self-teacher before training 55.0 %" in said
    assert "predicted improvement +24.0 accuracy points" in said


def test_colours_belong_to_the_style_sheet() -> None:
    for spec in (drawn(RUN), loss_chart(RUN)):
        for layer in spec["layer"]:
            assert not {"color", "fill", "stroke"} & set(layer["mark"])
