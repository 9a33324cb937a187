from gapcast.contract.fits import Calibration, LevelCalibration
from service.web.summary import outcomes_message

NONE = {"collapsed": 0, "refused": 0, "known_before": 0, "without_quantiles": 0}


def calibration(n: int, **changes) -> Calibration:
    fields = {
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


def test_without_outcomes_it_says_how_to_close_the_loop() -> None:
    said = outcomes_message("team", calibration(0, bias=None, bias_se=None, levels=[]))
    assert said.startswith("No prediction has met its outcome in pool team yet.")
    assert "POST /v1/observations" in said
    assert "prediction_id" in said


def test_coverage_width_and_bias_in_one_sentence() -> None:
    assert outcomes_message("team", calibration(12)) == (
        "Of 12 outcomes, 10 came inside their 80 % interval (83 %, 95 % confidence 55 to 95 %) and 12 came inside "
        "their 95 % interval (100 %, 95 % confidence 76 to 100 %); the intervals were 9.3 and 14.2 accuracy points "
        "wide on average, and what came was 0.4 ± 0.9 above the prediction."
    )


def test_one_outcome_has_no_standard_error() -> None:
    said = outcomes_message("team", calibration(1, bias=-0.021, bias_se=None))
    assert said.startswith("Of 1 outcome, ")
    assert said.endswith("what came was 2.1 below the prediction.")


def test_seeds_of_one_prediction_are_told() -> None:
    assert "They belong to 4 predictions: seeds" in outcomes_message("team", calibration(12, predictions=4))


def test_what_does_not_count_is_told_either_way() -> None:
    left_out = NONE | {"collapsed": 2, "known_before": 1}
    told = " Left out: 2 collapsed and 1 known before their prediction."
    assert outcomes_message("team", calibration(12, left_out=left_out)).endswith(told)
    nothing = calibration(0, bias=None, bias_se=None, levels=[], left_out=left_out)
    assert outcomes_message("team", nothing).endswith(told)
