"""From counts and means to the numbers that the law takes."""

from itertools import product

import numpy as np
import pytest
from pydantic import ValidationError

from gapcast.contract.base import FieldError
from gapcast.contract.observations import ObservationIn
from service.observations.measuring import prepare
from tests.support.rows import Row, run


def prepared(**change: object) -> tuple[Row, bool]:
    values, known, *_ = prepare(ObservationIn.model_validate(run(**change)))
    return values._asdict(), known


def counts(seed: int, problems: int = 40, rollouts: int = 4) -> tuple[list[int], list[int]]:
    rng = np.random.default_rng(seed)
    p = rng.uniform(size=problems)
    return rng.binomial(rollouts, p).tolist(), rng.binomial(rollouts, np.minimum(p + 0.2, 1)).tolist()


def test_counts_are_paired_over_problems() -> None:
    student, teacher = counts(1)
    values, _ = prepared(gap={"student": student, "self_teacher": teacher, "rollouts": 4}, cov=None)
    d = (np.array(teacher) - np.array(student)) / 4
    assert values["gap"] == pytest.approx(d.mean())
    assert values["gap_se"] == pytest.approx(np.sqrt(d.var(ddof=1) / 40))
    assert values["measured"]["gap"] == {"problems": 40, "rollouts": 4, "variance": "counts"}
    assert values["baseline"] == 0.4, "as sent"


@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize(("problems", "rollouts"), [(48, 1), (12, 4)])
def test_counts_at_the_ends_allow_6_points(share: int, problems: int, rollouts: int) -> None:
    arm = [share * rollouts] * problems
    gap = {"student": arm, "self_teacher": arm, "rollouts": rollouts}
    improvement = {"before": arm, "after": arm, "rollouts": rollouts}
    values, _ = prepared(gap=gap, improvement=improvement, baseline=None, cov=None)
    for name in ("gap", "improvement"):
        assert (values[name], values[f"{name}_se"]) == (0, pytest.approx(0.029, abs=0.0005))


def test_two_problems_with_one_rollout_never_look_exact() -> None:
    for student, teacher in product(product((0, 1), repeat=2), repeat=2):
        gap = {"student": student, "self_teacher": teacher, "rollouts": 1}
        assert prepared(gap=gap, baseline=0.5, cov=None)[0]["gap_se"] >= 0.5


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_means_at_the_ends_allow_6_points(share: float) -> None:
    same = {"value": 0.0, "problems": 12, "rollouts": 4}
    values, _ = prepared(gap=same, improvement=same, baseline=share, cov=None)
    assert values["gap_se"] == pytest.approx(0.029, abs=0.001)


def test_part_scores_are_not_taken_for_zeros_and_ones() -> None:
    half = [2.0, 2.5] * 32
    gap = {"student": half, "self_teacher": half, "rollouts": 4}
    assert prepared(gap=gap, cov=None)[0]["gap_se"] == pytest.approx((2 / 258 / 256) ** 0.5)


def test_the_baseline_comes_from_counts_where_it_is_not_sent() -> None:
    student, teacher = counts(2)
    gap = {"student": student, "self_teacher": teacher, "rollouts": 4}
    assert prepared(gap=gap, baseline=None, cov=None)[0]["baseline"] == pytest.approx(np.mean(student) / 4)
    before, after = counts(3)
    both = {"before": before, "after": after, "rollouts": 4}
    values, _ = prepared(gap=gap, improvement=both, baseline=None, cov=None)
    assert values["baseline"] == pytest.approx(np.mean(before) / 4), "that of the run"


def test_the_covariance_comes_from_the_problems_that_both_share() -> None:
    student, teacher = counts(4)
    before, after = counts(5)
    ids = list(range(40))
    gap = {"student": student, "self_teacher": teacher, "rollouts": 4, "problem_ids": ids}
    shuffled = ids[::-1]
    improvement = {"before": before[::-1], "after": after[::-1], "rollouts": 4, "problem_ids": shuffled}
    values, known = prepared(gap=gap, improvement=improvement, cov=None)
    dx, dy = np.subtract(teacher, student) / 4, np.subtract(after, before) / 4
    assert known
    assert values["cov"] == pytest.approx(np.cov(dx, dy)[0, 1] / 40)
    half = improvement | {"problem_ids": [one + 20 for one in shuffled]}
    values, known = prepared(gap=gap, improvement=half, cov=None)
    # problems 20 to 39 are in both, each mean is over 40
    assert known
    assert values["cov"] == pytest.approx(20 / 1600 * np.cov(dx[20:], dy[:20])[0, 1])
    without = {name: value for name, value in improvement.items() if name != "problem_ids"}
    assert prepared(gap=gap, improvement=without, cov=None)[0]["cov"] == 0
    assert not prepared(gap=gap, improvement=without, cov=None)[1]


def test_means_with_sizes_get_an_assumed_variance_that_falls_with_them() -> None:
    def se(problems: int, rollouts: int) -> float:
        values, _ = prepared(gap={"value": 0.2, "problems": problems, "rollouts": rollouts})
        assert values["measured"]["gap"]["variance"] == "assumed"
        found: float = values["gap_se"]
        return found

    assert se(400, 4) == pytest.approx(se(100, 4) / 2)
    assert se(100, 16) < se(100, 4) < se(100, 1) < 0.08


def test_a_variance_keeps_its_source_when_it_is_imported_again() -> None:
    values, _ = prepared(gap={"value": 0.2, "se": 0.03, "problems": 64, "rollouts": 2, "variance": "assumed"})
    assert (values["gap_se"], values["measured"]["gap"]["variance"]) == (0.03, "assumed")


@pytest.mark.parametrize(
    ("param", "change"),
    [
        ("improvement", {"improvement": {"value": 0.75, "se": 0.01}}),
        ("improvement", {"improvement": {"value": -0.6, "se": 0.01}}),
        ("gap", {"gap": {"value": 0.7, "problems": 100, "rollouts": 4}}),
        ("cov", {"cov": 0.0007}),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(param: str, change: Row) -> None:
    with pytest.raises(FieldError) as raised:
        prepared(**change)
    assert raised.value.param == param


@pytest.mark.parametrize(
    "gap",
    [
        {"value": 0.1, "se": 0.1, "student": [1, 2], "self_teacher": [1, 2], "rollouts": 4},
        {"student": [1, 2], "rollouts": 4},
        {"student": [1, 2], "self_teacher": [1, 2, 3], "rollouts": 4},
        {"student": [1, 2], "self_teacher": [1, 5], "rollouts": 4},
        {"student": [1, -1], "self_teacher": [1, 1], "rollouts": 4},
        {"student": [1, 2], "self_teacher": [1, 2]},
        {"student": [1], "self_teacher": [1], "rollouts": 4},
        {"student": [1, 2], "self_teacher": [1, 2], "rollouts": 4, "problem_ids": ["a"]},
        {"student": [1, 2], "self_teacher": [1, 2], "rollouts": 4, "problem_ids": ["a", "a"]},
        {"value": 0.1, "se": 0.1, "problem_ids": ["a"]},
        {"se": 0.1},
        {},
    ],
)
def test_a_measurement_is_said_in_one_way(gap: Row) -> None:
    with pytest.raises(ValidationError):
        ObservationIn.model_validate(run(gap=gap))


@pytest.mark.parametrize(
    ("recipe", "teacher"),
    [
        ({"teacher": "live"}, "live"),
        ({"teacher": "ema", "ema_rate": 0.5}, "live"),
        ({"teacher": "ema", "ema_rate": 0.49}, "ema"),
        ({"teacher": "ema"}, "ema"),
    ],
)
def test_a_teacher_that_follows_at_once_counts_as_live(recipe: Row, teacher: str) -> None:
    values, _ = prepared(recipe=recipe | {"divergence": "reverse_kl"})
    assert values["cell"] == f"qwen3|livecodebench-v6|{teacher}-reverse_kl"
    assert values["provenance"]["recipe"]["teacher"] == recipe["teacher"], "as sent"


def test_a_row_is_of_the_mode_that_its_axes_say() -> None:
    gap, gain = {"value": 0.2, "se": 0.02}, {"value": 0.25, "se": 0.03}
    assert prepared(gap=gap, improvement=gain)[0]["thinking"] is None
    for mode in (True, False):
        assert prepared(gap=gap | {"thinking": mode}, improvement=gain)[0]["thinking"] is mode
        assert prepared(gap=gap, improvement=None, held_out=gain | {"thinking": mode})[0]["thinking"] is mode
    with pytest.raises(
        ValidationError, match=r"expected true, as gap\.thinking, got false\. A gap in one decoding mode"
    ):
        prepared(gap=gap | {"thinking": True}, improvement=gain | {"thinking": False})


@pytest.mark.parametrize(
    ("student", "teacher", "evaluated", "mode"),
    [
        (False, True, True, "plain/thinking/thinking"),
        (False, True, False, "plain/thinking/plain"),
        (True, True, False, "thinking/thinking/plain"),
        (True, True, True, "thinking"),
        (False, False, False, None),
    ],
)
def test_a_row_whose_axes_think_differently_says_each_mode(
    student: bool, teacher: bool, evaluated: bool, mode: str | None
) -> None:
    gap = {"value": 0.2, "se": 0.02, "thinking": student, "teacher_thinking": teacher}
    gain = {"value": 0.25, "se": 0.03, "thinking": evaluated}
    values, _ = prepared(gap=gap, improvement=gain)
    assert (values["mode"], values["thinking"]) == (mode, evaluated)
    with pytest.raises(ValidationError, match=r"expected true or false beside gap\.teacher_thinking"):
        prepared(gap=gap, improvement={"value": 0.25, "se": 0.03})
