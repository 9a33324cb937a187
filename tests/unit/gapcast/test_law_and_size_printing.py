import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from gapcast.cli.printing import law as printing
from gapcast.cli.size import print_size, request_of
from gapcast.models import (
    Coefficients,
    Drift,
    FamilyScaling,
    Fit,
    LinkWeights,
    OfRecipe,
    ProbeSize,
    Residuals,
)
from gapcast.words import link_weights, model_size, recipe, summed_up


def printed(show: Callable[..., None], *what: Any) -> str:
    out = io.StringIO()
    show(Console(file=out, width=80), *what)
    return out.getvalue()


LINE: dict[str, Any] = {
    "family": "qwen3",
    "teacher_rule": "frozen",
    "divergence": "forward_kl",
    "status": "fitted",
    "n": 24,
    "slope": 0.947,
    "slope_interval": [0.9, 1.004],
    "intercept": -0.0144,
    "intercept_interval": [-0.036, 0.0089],
    "links": {"linear": 0.972, "tanh": 0.02, "exp": 0.008},
    "depends_on_link": False,
    "at_common_gap": {"gap": 0.15, "improvement": 0.128, "improvement_interval": [0.1, 0.15]},
}
MOVING = {"teacher_rule": "co_moving", "divergence": "reverse_kl"}
UNDECIDED = {"links": {"linear": 0.72, "tanh": 0.2, "exp": 0.08}, "depends_on_link": True}
NEW = LINE | {"family": "", "n": 0, "status": "cold", "slope": 1.2, "slope_interval": [-0.2, 2.6]}
FIT = Fit.model_validate(
    {
        "id": "fit_1",
        "pool": "mine",
        "n": 24,
        "changes": 3,
        "fingerprint": "f",
        "families": [LINE],
        "populations": [NEW],
        "p_collapse": 0.0792,
        "curvature_p": 0.152,
        "drift": [],
        "created_at": "2026-01-01T00:00:00Z",
    }
)
RESIDUAL = {
    "id": "obs_00000000000000000000000000000001",
    "family": "qwen3",
    "cell": None,
    "model": "Qwen3-[8B]",
    "context_kind": "hints",
    "gap": 0.189,
    "improvement": -0.029,
    "expected": 0.172,
    "residual": -0.201,
    "standardized": -4.8,
    "leverage": 0.1,
    "influence": 0.1,
    "weight": 0.002,
    "outlier": True,
}


def residuals(*rows: dict[str, Any], has_more: bool = False) -> Residuals:
    ends = {"first_id": None, "last_id": None, "has_more": has_more}
    about: dict[str, Any] = {"outliers": 5, "unusual": 7, "curvature_p": None, "context_kinds": [], "models": []}
    return Residuals.model_validate({"fit_id": "fit_1", "data": rows} | ends | about)


class TestLaw:
    def test_a_straight_law_is_its_slope_and_intercept_in_points(self) -> None:
        text = printed(printing.print_law, FIT, residuals(), [])
        _, _, qwen3, below, new, *_ = [line.rstrip() for line in text.splitlines()]
        whole = "  24  fitted  slope 0.95 (0.90 to 1.00), intercept -1.4 (-3.6 to +0.9)"
        assert (qwen3[:5], qwen3.endswith(whole)) == ("qwen3", True)
        assert below.split("  ", 2)[1] == "frozen, forward KL"
        assert below.endswith("straight 97 %, saturating 3 % (tanh 2 %, exp 1 %)")
        assert new.startswith("a new family")
        assert "      cold    slope 1.20 (-0.20 to 2.60), intercept" in new
        assert "Collapses  7.9 % probability: the share of runs" in text
        assert "Unusual runs  none" in text

    def test_a_law_of_several_shapes_is_its_improvement_at_one_gap(self) -> None:
        line = LINE | MOVING | UNDECIDED
        text = printed(printing.print_law, FIT.model_copy(update={"families": [Coefficients(**line)]}), residuals(), [])
        qwen3, below = text.splitlines()[2:4]
        assert qwen3.rstrip().endswith("fitted  +12.8 points at a gap of 15 (+10.0 to +15.0)")
        assert "co-moving, reverse KL" in below
        assert below.rstrip().endswith("straight 72 %, saturating 28 % (tanh 20 %, exp 8 %)")

    def test_families_that_are_lent_are_named(self) -> None:
        pools = [{"pool": "published", "changes": 1, "hash": "h", "fit_id": None}]
        lent = {"pools": pools, "families": {"llama3.1": 2}, "own_rows_only": ["qwen3"]}
        text = " ".join(
            printed(printing.print_law, Fit(**FIT.model_dump() | {"borrowed": lent}), residuals(), []).split()
        )
        assert "from published, for families without runs here: llama3.1 (2 runs); not lent, as it has runs" in text
        assert "Borrowed" not in printed(printing.print_law, FIT, residuals(), [])

    def test_the_slope_of_a_curve_is_that_at_gap_0(self) -> None:
        bent = LINE | {"links": {"linear": 0.0, "tanh": 0.001, "exp": 0.999}}
        assert summed_up(Coefficients(**bent)) == "slope 0.95 at gap 0 (0.90 to 1.00)"

    def test_what_is_straight_for_sure_names_no_curve(self) -> None:
        sure = LinkWeights(linear=0.998, tanh=0.0015, exp=0.0005)
        assert link_weights(sure) == "straight > 99 %, saturating < 1 %"

    @pytest.mark.parametrize(
        ("rule", "divergence", "words"),
        [("frozen", "js", "frozen, JS"), ("co_moving", None, "recipe unknown")],
    )
    def test_recipes(self, rule: str, divergence: str | None, words: str) -> None:
        assert recipe(OfRecipe.model_validate({"teacher_rule": rule, "divergence": divergence})) == words

    def test_an_unusual_run_stands_in_one_line_with_its_id(self) -> None:
        text = printed(printing.print_unusual, residuals(RESIDUAL))
        (line,) = [one for one in text.splitlines() if "obs_" in one]
        assert line.split() == [
            RESIDUAL["id"],
            "qwen3",
            "Qwen3-[8B]",
            "hints",
            "+18.9",
            "-2.9",
            "+17.2",
            "-4.8",
            "0.2",
            "%",
        ]
        assert "of 7 in the whole pool" not in text
        assert "of 7 in the whole pool" in printed(printing.print_unusual, residuals(RESIDUAL, has_more=True))

    @pytest.mark.parametrize(
        ("p_value", "words"),
        [(None, "no straight law"), (0.152, "p = 0.152: no sign"), (0.01, "seem to bend down"), (0.05, "no sign")],
    )
    def test_curvature(self, p_value: float | None, words: str) -> None:
        assert words in printing.curvature(p_value)

    def test_drift(self) -> None:
        assert "no family has runs of several versions" in printing.drift([], set())[0]
        assert "too large" in printing.drift(None, set())[0]
        values = {"family": "qwen3", "versions": {"": 3, "v2": 9}}
        quiet = Drift.model_validate(values | {"log_bayes_factor": -0.41, "alarm": False})
        loud = Drift.model_validate(values | {"log_bayes_factor": 4.2, "alarm": True})
        shown = printing.drift([quiet, loud], {quiet.family, loud.family})
        assert shown[0] == "none in qwen3: log Bayes factor -0.4 between its versions (no version: 3, v2: 9)"
        assert "ALARM" in shown[1]
        assert "4.2" in shown[1]

    @pytest.mark.parametrize(
        ("parameters", "words"),
        [(8.19e9, "8.19B"), (999.9e6, "1B"), (350e6, "350M"), (100992, "101K"), (12, "12"), (1.5e12, "1.5T")],
    )
    def test_model_sizes(self, parameters: float, words: str) -> None:
        assert model_size(parameters) == words

    def test_slopes_by_size(self) -> None:
        size = {"parameters": 8e9, "n": 1, "slope": 0.9, "se": 0.05, "lower": 0.8, "upper": 1.0}
        sizes = [size, size | {"parameters": 4e9, "n": 12}]
        found = {"family": "qwen3", "linear_weight": 0.05, "sizes": sizes} | MOVING
        trend = {"per_tenfold": 0.24, "se": 0.1, "lower": 0.04, "upper": 0.44}
        homogeneity = {"q": 3.9, "freedom": 1, "p_value": 0.049}
        lines = list(
            printing.by_size(FamilyScaling.model_validate(found | {"trend": trend, "homogeneity": homogeneity}))
        )
        assert lines[:2] == [
            "qwen3 (co-moving, reverse KL) 8B: 0.90 (0.80 to 1.00), 1 run",
            "qwen3 (co-moving, reverse KL) 4B: 0.90 (0.80 to 1.00), 12 runs",
        ]
        assert "they seem to differ" in lines[2]
        assert "+0.24 for ten times the parameters (95 % confidence +0.04 to +0.44)" in lines[3]
        bare = FamilyScaling.model_validate(found | {"trend": None, "homogeneity": None})
        assert len(list(printing.by_size(bare))) == 2
        bent = bare.model_copy(update={"linear_weight": 0.049})
        assert "qwen3 (co-moving, reverse KL): improvements saturate" in next(printing.by_size(bent))


SIZE = {
    "verdict": "reachable",
    "message": "115 problems x 1 rollouts in each arm give a half-width of 12 points at 95 %.",
    "problems": 115,
    "rollouts": 1,
    "cost": 230.0,
    "gap_se": 0.0507,
    "half_width": 0.1198,
    "floor": 0.0744,
    "level": 0.95,
    "measurement_se": 0.0316,
    "expected": {"gap": 0.208, "student": 0.2529, "source": "family"},
    "variation": {"sigma_d2": 0.03, "w_student": 0.1, "w_self_teacher": 0.1, "source": "assumed"},
    "fit_id": "fit_1",
}


class TestSize:
    def test_a_size(self) -> None:
        text = printed(print_size, ProbeSize.model_validate(SIZE))
        assert text.splitlines()[0].rstrip() == "Probe    115 problems x 1 rollout in each arm: 230 rollouts"
        assert "probe: {problems: 115, rollouts: 1}" in text
        assert "standard error of 5.1 points" in text
        assert "± 12.0 points at 95 %" in text
        assert "± 7.4 points at 95 % with an exactly known gap" in text
        assert "gap +20.8 points, student 25.3 %: medians of the family's stored runs" in text
        assert "--pilot" in text

    def test_another_unit_of_cost_is_said(self) -> None:
        assert "230 rollouts, cost 345" in printed(print_size, ProbeSize.model_validate(SIZE | {"cost": 345.0}))

    def test_a_pilots_variation_is_said(self) -> None:
        variation = SIZE["variation"] | {"source": "pilot"}  # type: ignore[operator]
        text = printed(print_size, ProbeSize.model_validate(SIZE | {"variation": variation}))
        assert "vary as in the pilot" in text
        assert "--pilot" not in text

    def test_none_says_why_in_one_line_and_the_floor(self) -> None:
        nothing = {"problems": None, "rollouts": None, "cost": None, "gap_se": None, "half_width": None}
        none = SIZE | nothing | {"verdict": "below_floor", "message": "No probe gives that. " * 9}
        text = printed(print_size, ProbeSize.model_validate(none))
        assert text.startswith("Not reachable. " + "No probe gives that. " * 9)
        assert "Floor" in text
        assert "Probe " not in text

    def test_a_probe_whose_prediction_would_be_refused_says_so(self) -> None:
        assert "no prediction: the law does not reach such a gap" in printed(
            print_size, ProbeSize.model_validate(SIZE | {"half_width": None})
        )

    def test_only_what_matters_of_a_configuration_is_sent(self) -> None:
        model = {"name": "m", "family": "f", "revision": None, "options": {"dtype": "bfloat16"}}
        whole = {"model": model, "task": "t", "context": {"kind": "hints"}, "recipe": {"teacher": "ema"}, "pool": "p"}
        modes = {"decoding": {"thinking": True, "temperature": 0.7}, "training": {"problems": 512, "seed": 3}}
        assert request_of(whole | modes | {"probe": {}, "levels": [0.8]}) == {
            "model": {"name": "m", "family": "f"},
            "task": "t",
            "context": {"kind": "hints"},
            "recipe": {"teacher": "ema"},
            "decoding": {"thinking": True},
            "training": {"problems": 512},
            "pool": "p",
        }
        assert request_of({"model": "m", "decoding": "greedy"}) == {"model": "m", "decoding": "greedy"}
