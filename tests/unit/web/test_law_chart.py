from collections.abc import Mapping
from dataclasses import replace

import altair as alt
import pytest

from service.law import Key
from service.web import static_directory
from service.web.law_plots import calibration_plot
from service.web.plots import LONGEST_NOTE, law_chart
from service.web.points import BranchPoint, Curve, ObservationPoint, OutcomePoint, PredictionPoint
from service.web.recipes import FamilyRecipe
from service.web.theme import CONFIG

pytestmark = pytest.mark.slow

FROZEN, MOVING = Key.of("frozen", "forward_kl"), Key.of("ema", "reverse_kl")


def observation(**changes) -> ObservationPoint:
    fields = {
        "id": "obs_1",
        "name": "night run",
        "gap": 0.31,
        "gap_se": 0.02,
        "improvement": 0.29,
        "improvement_se": 0.01,
        "model": "lab/addition-qwen3-s",
        "context": "reference_solution",
        "family": "lab-qwen3",
        "key": FROZEN,
        "recipe": "frozen, forward KL",
        "excluded": False,
    }
    return ObservationPoint(**(fields | changes))


CURVE = Curve(
    law=FamilyRecipe("lab-qwen3", FROZEN),
    baseline=0.25,
    typical=0.25,
    linear_weight=1.0,
    pool=FROZEN,
    runs={"lab-qwen3": 1},
    gaps=[0.0, 0.5],
    mean=[0.0, 0.47],
    confidence_lower=[-0.01, 0.44],
    confidence_upper=[0.01, 0.5],
    prediction_lower=[-0.06, 0.4],
    prediction_upper=[0.06, 0.54],
    level=0.95,
)
PREDICTION = PredictionPoint(
    gap=0.2, gap_se=0.03, mean=0.19, intervals=[(0.8, 0.15, 0.23), (0.95, 0.11, 0.27)], label="lab/a, hints"
)
OUTCOME = OutcomePoint(
    prediction_id="pred_1", at="2026-11-22T18:00:00Z", predicted=0.2, lower=0.1, upper=0.3, outcome=0.28, inside=True
)
BRANCHES = [
    BranchPoint(link="linear", weight=0.72, value=0.3, level=0.95, lower=0.2, upper=0.4),
    BranchPoint(link="saturating", weight=0.28, value=0.21, level=0.95, lower=0.15, upper=0.27),
]
OPEN = replace(PREDICTION, branches=BRANCHES)
REFUSED = PredictionPoint(gap=0.9, gap_se=0.03, mean=None, intervals=[], label="lab/a, hints")


def rows(spec: dict, style: str) -> list[dict]:
    """All rows that the marks of one style draw."""
    layers = [layer for layer in spec["layer"] if layer["mark"].get("style") == style]
    return [row for layer in layers for row in spec["datasets"][layer["data"]["name"]]]


def layers(spec: dict, style: str) -> list[dict]:
    return [layer for layer in spec["layer"] if layer["mark"].get("style") == style]


@pytest.mark.parametrize(
    "observations", [[], [observation()], [observation(excluded=True), observation(context="a<b")]]
)
@pytest.mark.parametrize("curve", [None, CURVE])
@pytest.mark.parametrize("prediction", [None, PREDICTION, OPEN, REFUSED])
def test_every_state_is_a_valid_specification(observations, curve, prediction) -> None:
    spec = law_chart(observations, curve, prediction)
    alt.LayerChart.validate(spec)
    assert spec["$schema"].endswith(f"/{alt.SCHEMA_VERSION}.json")


def test_axes_say_their_units() -> None:
    spec = law_chart([observation()], CURVE, PREDICTION)
    for axis in ("x", "y"):
        titles = {layer["encoding"][axis]["title"] for layer in spec["layer"] if axis in layer["encoding"]}
        assert len(titles) == 1
        assert "accuracy points" in titles.pop()


def test_an_observation_is_drawn_in_points_with_one_standard_error_each_way() -> None:
    [row] = rows(law_chart([observation()], None, None), "observation")
    assert (row["gap"], row["gap_lower"], row["gap_upper"]) == pytest.approx((31, 29, 33))
    assert (row["improvement"], row["improvement_lower"], row["improvement_upper"]) == pytest.approx((29, 28, 30))
    assert row["gap_text"] == "+31.0 ± 2.0 accuracy points"


def test_error_bars_run_along_both_axes() -> None:
    across, along = layers(law_chart([observation()], None, None), "error-bar")
    assert (across["encoding"]["x"]["field"], across["encoding"]["x2"]["field"]) == ("gap_lower", "gap_upper")
    assert (along["encoding"]["y"]["field"], along["encoding"]["y2"]["field"]) == (
        "improvement_lower",
        "improvement_upper",
    )


def test_only_runs_of_the_curves_law_are_in_focus_and_excluded_ones_are_not() -> None:
    observations = [
        observation(),
        observation(family="other"),
        observation(key=MOVING, recipe="EMA, reverse KL"),
        observation(excluded=True),
    ]
    drawn = rows(law_chart(observations, CURVE, None), "observation")
    assert [row["focus"] for row in drawn] == [True, False, False, False]
    assert [row["recipe"] for row in drawn[1:3]] == ["frozen, forward KL", "EMA, reverse KL"]
    drawn = rows(law_chart(observations, None, None), "observation")
    assert [row["focus"] for row in drawn] == [True, True, True, False]


def test_outliers_are_ringed_and_say_their_weight() -> None:
    stored = [observation(weight=0.98), observation(weight=0.31), observation(collapsed=True, weight=0.0)]
    stored.append(observation(excluded=True, collapsed=True, reason="twice"))
    spec = law_chart(stored, CURVE, None)
    assert [row["note"] for row in rows(spec, "outlier")] == ["outlier, weight 0.31", "no, stored as collapsed"]
    assert [row["note"] for row in rows(spec, "observation")] == [
        "yes",
        "outlier, weight 0.31",
        "no, stored as collapsed",
        "no, excluded: twice",
    ]
    assert "1 of them excluded, 2 of them ringed as outliers" in spec["description"]
    [layer] = layers(spec, "observation")
    assert {"field": "note", "title": "In the fit", "type": "nominal"} in layer["encoding"]["tooltip"]


def test_only_excluded_points_are_hollow() -> None:
    spec = law_chart([observation(excluded=True), observation(weight=0.1)], None, None)
    [layer] = layers(spec, "observation")
    condition = layer["encoding"]["fillOpacity"]["condition"]
    assert (condition["test"], condition["value"]) == ("datum.mark === 'excluded'", 0)
    assert [row["mark"] for row in rows(spec, "observation")] == ["excluded", "outlier"]


@pytest.mark.parametrize(
    ("weight", "note"), [(None, "yes"), (0.5, "yes"), (0.499, "outlier, weight 0.50"), (0, "outlier, weight < 0.01")]
)
def test_an_unknown_weight_is_no_outlier(weight, note) -> None:
    assert observation(weight=weight).note == note


def test_a_long_reason_is_cut_in_the_tooltip_alone() -> None:
    one = observation(excluded=True, reason="because " * 100)
    [row] = rows(law_chart([one], None, None), "observation")
    assert len(row["note"]) == LONGEST_NOTE
    assert len(one.note) > 800


def test_bands_take_their_own_bounds() -> None:
    spec = law_chart([], CURVE, None)
    for name, low, high in (("confidence", 44, 50), ("prediction", 40, 54)):
        [layer] = layers(spec, f"{name}-band")
        last = rows(spec, f"{name}-band")[-1]
        encoding = layer["encoding"]
        drawn = (last[encoding["y"]["field"]], last[encoding["y2"]["field"]])
        assert drawn == pytest.approx((low, high))
    assert rows(spec, "fit")[-1]["mean"] == pytest.approx(47)


def test_the_narrower_interval_is_the_thicker_bar() -> None:
    spec = law_chart([], None, PREDICTION)
    bars = {}
    for layer in layers(spec, "interval"):
        if "y2" in layer["encoding"]:
            [row] = spec["datasets"][layer["data"]["name"]]
            bars[round(row[layer["encoding"]["y"]["field"]]), round(row[layer["encoding"]["y2"]["field"]])] = layer[
                "mark"
            ]["strokeWidth"]
    assert set(bars) == {(15, 23), (11, 27)}
    assert bars[15, 23] > bars[11, 27]


def test_a_predictions_tooltip_names_both_intervals() -> None:
    spec = law_chart([], None, PREDICTION)
    [layer] = layers(spec, "prediction")
    [row] = rows(spec, "prediction")
    shown = {one["title"]: row[one["field"]] for one in layer["encoding"]["tooltip"]}
    assert shown["Gap"] == "+20.0 ± 3.0 accuracy points"
    assert shown["Improvement"] == "+19.0 accuracy points"
    assert shown["80 % interval"] == "+15.0 to +23.0 accuracy points"
    assert shown["95 % interval"] == "+11.0 to +27.0 accuracy points"


def test_both_sides_of_an_undecided_law_stand_beside_the_prediction() -> None:
    spec = law_chart([], CURVE, OPEN)
    offsets = {}
    for link, value, low, high in (("linear", 30, 20, 40), ("saturating", 21, 15, 27)):
        [mark], [row] = layers(spec, f"branch-{link}"), rows(spec, f"branch-{link}")
        [bar] = [one for one in layers(spec, "branch-interval") if one["data"] == mark["data"]]
        fields = (mark["encoding"]["y"], bar["encoding"]["y"], bar["encoding"]["y2"])
        assert [row[one["field"]] for one in fields] == pytest.approx([value, low, high])
        assert row[mark["encoding"]["x"]["field"]] == pytest.approx(20)
        assert mark["mark"]["xOffset"] == bar["mark"]["xOffset"]
        offsets[link] = mark["mark"]["xOffset"]
    assert offsets["linear"] < 0 < offsets["saturating"]
    assert "if straight +30.0, if saturating +21.0" in spec["description"]
    [straight] = layers(spec, "branch-linear")
    shown = {one["title"]: rows(spec, "branch-linear")[0][one["field"]] for one in straight["encoding"]["tooltip"]}
    assert shown == {
        "If straight": "+30.0 accuracy points",
        "95 % interval": "+20.0 to +40.0 accuracy points",
        "Its probability": "72 %",
    }


def test_a_decided_law_has_no_sides() -> None:
    law_chart([], CURVE, OPEN)
    assert not layers(law_chart([], CURVE, PREDICTION), "branch-interval")


def test_a_refused_prediction_shows_its_gap_alone() -> None:
    spec = law_chart([], None, REFUSED)
    assert rows(spec, "refused")[0]["gap"] == pytest.approx(90)
    assert not layers(spec, "prediction")
    assert not layers(spec, "interval")


def test_each_prediction_gets_the_bars_of_its_own_levels() -> None:
    other = PredictionPoint(gap=0.1, gap_se=0.03, mean=0.1, intervals=[(0.5, 0.05, 0.15)], label="lab/b, hints")
    for prediction, levels in ((PREDICTION, ["95 %", "80 %"]), (other, ["50 %"]), (PREDICTION, ["95 %", "80 %"])):
        [layer] = layers(law_chart([], None, prediction), "prediction")
        titles = [one["title"] for one in layer["encoding"]["tooltip"]]
        assert titles[3:] == [f"{level} interval" for level in levels]


def test_large_pools_are_drawn() -> None:
    many = [observation(gap=index / 20_000) for index in range(10_000)]
    assert len(rows(law_chart(many, CURVE, None), "observation")) == 10_000


def outcomes_chart(*outcomes: OutcomePoint) -> dict:
    made = calibration_plot(outcomes)
    assert made is not None
    return made


def test_marks_have_the_look_of_their_style_and_no_colour_of_their_own() -> None:
    spec = law_chart([observation()], CURVE, OPEN)
    for layer in [*spec["layer"], *outcomes_chart(OUTCOME)["layer"]]:
        assert not {"color", "fill", "stroke"} & set(layer["mark"])
        assert layer["mark"]["style"] in spec["config"]["style"]


def test_every_colour_is_a_variable_of_the_style_sheet() -> None:
    sheet = (static_directory / "page.css").read_text()

    def variables(value: object) -> set[str]:
        parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        named = {value} if isinstance(value, str) and value.startswith("--") else set()
        return named.union(*map(variables, parts))

    found = variables(CONFIG)
    assert len(found) > 10
    assert {name for name in found if f"{name}:" not in sheet} == set()
    assert "#" not in str(CONFIG)


class TestOutcomes:
    def test_it_is_a_valid_specification(self) -> None:
        alt.LayerChart.validate(outcomes_chart(OUTCOME, replace(OUTCOME, inside=False)))

    def test_an_outcome_stands_over_its_prediction_with_the_interval(self) -> None:
        spec = outcomes_chart(OUTCOME)
        [bar], [point] = layers(spec, "promised"), layers(spec, "inside")
        [row] = rows(spec, "promised")
        assert (row["predicted"], row["lower"], row["upper"], row["outcome"]) == pytest.approx((20, 10, 30, 28))
        assert [bar["encoding"][axis]["field"] for axis in ("x", "y", "y2")] == ["predicted", "lower", "upper"]
        assert [point["encoding"][axis]["field"] for axis in ("x", "y")] == ["predicted", "outcome"]

    def test_what_came_outside_is_another_mark(self) -> None:
        spec = outcomes_chart(OUTCOME, replace(OUTCOME, outcome=0.5, inside=False))
        assert [row["outcome"] for row in rows(spec, "inside")] == pytest.approx([28])
        assert [row["outcome"] for row in rows(spec, "outside")] == pytest.approx([50])
        assert "2 outcomes, 1 of them outside" in spec["description"]

    def test_the_identity_line_spans_the_predictions(self) -> None:
        spec = outcomes_chart(OUTCOME, replace(OUTCOME, predicted=-0.05))
        first, last = rows(spec, "identity")
        assert first["at"] < -5
        assert last["at"] > 20
        [line] = layers(spec, "identity")
        assert line["encoding"]["x"]["field"] == line["encoding"]["y"]["field"]

    def test_axes_say_their_units(self) -> None:
        encodings = [layer["encoding"] for layer in outcomes_chart(OUTCOME)["layer"]]
        titles = {one[axis]["title"] for one in encodings for axis in ("x", "y")}
        assert titles == {"Predicted (accuracy points)", "Measured (accuracy points)"}
