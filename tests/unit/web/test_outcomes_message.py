from gapcast.contract.fits import Calibration
from service.web.summary import outcomes_message


def test_without_outcomes_it_says_how_to_close_the_loop() -> None:
    nothing: dict[str, None] = dict.fromkeys(("bias", "bias_se", "mae", "mean_pit"))
    found = {"fit_id": "fit_1", "n": 0, "predictions": 0, "left_out": {}, "pit_histogram": [], "levels": []}
    said = outcomes_message("team", Calibration.model_validate(found | nothing | {"outcomes": []}))
    assert said.startswith("No prediction has met its outcome in pool team yet.")
    assert "POST /v1/observations" in said
    assert "prediction_id" in said
