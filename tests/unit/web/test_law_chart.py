import altair as alt
import pytest

from service.web.plots import Curve, ObservationPoint, PredictionPoint, law_chart


def observation(**changes) -> ObservationPoint:
    fields = {
        "gap": 0.31,
        "gap_se": 0.02,
        "improvement": 0.29,
        "improvement_se": 0.01,
        "model": "lab/addition-qwen3-s",
        "context": "reference_solution",
        "family": "lab-qwen3",
        "excluded": False,
    }
    return ObservationPoint(**(fields | changes))


CURVE = Curve(
    family="lab-qwen3",
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
@pytest.mark.parametrize("prediction", [None, PREDICTION, REFUSED])
def test_every_state_is_a_valid_specification(observations, curve, prediction) -> None:
    spec = law_chart(observations, curve, prediction)
    alt.LayerChart.from_dict(spec, validate=True)
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


def test_only_the_curves_family_is_in_focus_and_excluded_points_are_not() -> None:
    observations = [observation(), observation(family="other"), observation(excluded=True)]
    assert [row["focus"] for row in rows(law_chart(observations, CURVE, None), "observation")] == [True, False, False]
    assert [row["focus"] for row in rows(law_chart(observations, None, None), "observation")] == [True, True, False]


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
    assert shown["80% interval"] == "+15.0 to +23.0 accuracy points"
    assert shown["95% interval"] == "+11.0 to +27.0 accuracy points"


def test_a_refused_prediction_shows_its_gap_alone() -> None:
    spec = law_chart([], None, REFUSED)
    assert rows(spec, "refused")[0]["gap"] == pytest.approx(90)
    assert not layers(spec, "prediction")
    assert not layers(spec, "interval")


def test_large_pools_are_drawn() -> None:
    many = [observation(gap=index / 20_000) for index in range(10_000)]
    assert len(rows(law_chart(many, CURVE, None), "observation")) == 10_000


def test_colours_belong_to_the_style_sheet() -> None:
    spec = law_chart([observation()], CURVE, PREDICTION)
    for layer in spec["layer"]:
        assert not {"color", "fill", "stroke"} & set(layer["mark"])
