"""The laws of one fit: by target, by dose, by tuning."""

from typing import Any

import numpy as np
import pytest

from gapcast.contract.recipes import Recipe
from service.fits import service as fits
from service.fits.asked import Asked
from service.fits.laws import Laws, Target
from service.fits.summary import summarize
from service.fits.tuning import Tuning
from service.law import Probe
from service.law.dose import Dose
from service.observations import repository as observations

NAMES = [column.key for column in observations.FITTED]
CELL = "qwen3|math|frozen-forward_kl"


class OneRow(tuple[Any, ...]):
    """A stored row as a query gives it: values in order, and by name."""

    def __getattr__(self, name: str) -> Any:
        return self[NAMES.index(name)]


def row(number: int, gap: float, improvement: float | None, **more: Any) -> Any:
    values: dict[str, Any] = dict.fromkeys(NAMES)
    values |= {"id": f"obs_{number}", "family": "qwen3", "cell": CELL, "model": "m", "context_kind": "hints"}
    values |= {"baseline": 0.3, "gap": gap, "gap_se": 0.02, "improvement": improvement, "improvement_se": 0.02}
    values |= {"cov": 0.0, "collapsed": False, "steps": 150, "problems_per_step": 32, "training_problems": 128}
    values |= {"learning_rate": 5e-4, "adaptation": "full"}
    if improvement is None:
        values["improvement_se"] = None
    return OneRow((values | more)[name] for name in NAMES)


GAPS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


def asked(**recipe: Any) -> Asked:
    return Asked("qwen3", "math", Recipe(**recipe), 128, None, "m")


def predicted(laws: Laws, target: Target, steps: int, leaf: str = CELL) -> float:
    answering = laws.answering(target, steps)
    assert answering is not None
    about: dict[str, Any] = {"teacher": "frozen", "divergence": "forward_kl", "baseline": 0.3}
    probe = Probe(gap=0.2, gap_var=1e-4, family="qwen3", cell=leaf, improvement_var=4e-4, **about)
    return float(answering.law.predict_improvement(probe).mean)


def test_runs_of_one_length_and_tuning_are_one_law() -> None:
    laws = fits.laws.fit(fits.table([row(number, gap, gap) for number, gap in enumerate(GAPS)]))
    for steps in (1, 150, 100_000):
        answering = laws.answering(Target.TRAIN, steps)
        assert answering is not None
        assert (answering.law, answering.dose) == (laws.whole, Dose.TO_150)
    assert laws.on(Target.HELD_OUT) is None
    assert laws.answering(Target.HELD_OUT, 150) is None
    assert len(laws.to_record()["laws"]) == 1


def test_each_dose_has_a_law_of_its_own_and_a_curve_tells_of_all_that_it_passed() -> None:
    short = [row(number, gap, 0.2 * gap, steps=10) for number, gap in enumerate(GAPS)]
    long = [
        row(
            10 + number,
            gap,
            0.9 * gap,
            curve=[{"step": step, "improvement": share * gap, "se": 0.02} for step, share in ((40, 0.5), (150, 0.9))],
        )
        for number, gap in enumerate(GAPS)
    ]
    laws = fits.laws.fit(fits.table(short + long))
    first, second, third = (predicted(laws, Target.TRAIN, steps) for steps in (10, 40, 150))
    assert first < second < third
    assert third == pytest.approx(0.18, abs=0.03)
    assert laws.answering(Target.TRAIN, 400).dose is Dose.TO_150  # type: ignore[union-attr]
    again = Laws.from_record(laws.to_record())
    assert predicted(again, Target.TRAIN, 40) == second


def test_a_curve_under_a_schedule_tells_of_its_end_alone() -> None:
    curve = [{"step": step, "improvement": 0.1, "se": 0.02} for step in (10, 150)]
    rows = [row(number, gap, gap, curve=curve, schedule="cosine") for number, gap in enumerate(GAPS)]
    assert list(fits.table(rows).by_dose(Target.TRAIN)) == [Dose.TO_150]


def test_a_run_that_collapsed_later_had_not_before() -> None:
    curve = [{"step": 40, "improvement": 0.1, "se": 0.02}, {"step": 150, "improvement": -0.3, "se": 0.02}]
    found = fits.table([row(1, 0.2, -0.3, collapsed=True, curve=curve)]).by_dose(Target.TRAIN)
    early = found[Dose.TO_50]
    assert early is not None
    assert (early.collapsed.tolist(), early.improvement.tolist()) == ([False], [pytest.approx(0.1 + 10 / 110 * -0.4)])


def test_held_out_improvements_are_a_law_of_their_own() -> None:
    rows = [
        row(number, gap, gap, held_out_improvement=0.1 * gap, held_out_se=0.02, held_out_baseline=0.4)
        for number, gap in enumerate(GAPS)
    ]
    rows.append(row(10, 0.2, None, held_out_improvement=0.02, held_out_se=0.02))
    laws = fits.laws.fit(fits.table(rows))
    assert predicted(laws, Target.TRAIN, 150) > 0.15 > 0.05 > predicted(laws, Target.HELD_OUT, 150)
    assert (laws.whole.families_, laws.on(Target.HELD_OUT).families_) == ({"qwen3": 6}, {"qwen3": 7})  # type: ignore[union-attr]


def test_runs_that_were_tuned_otherwise_are_a_cell_of_their_own() -> None:
    usual = [row(number, gap, gap) for number, gap in enumerate(GAPS)]
    slow = [row(10 + number, gap, 0.1 * gap, learning_rate=1e-6) for number, gap in enumerate(GAPS[:3])]
    table = fits.table(usual + slow)
    summary = summarize(usual + slow, table, [])
    laws = fits.laws.fit(table)
    leaf = asked(learning_rate=1e-6).leaf(summary)
    assert (asked().leaf(summary), leaf) == (CELL, f"{CELL}|lr~1e-6,full,problems~128")
    assert predicted(laws, Target.TRAIN, 150, leaf) < 0.1 < 0.15 < predicted(laws, Target.TRAIN, 150)
    assert asked(lora_rank=8).tuned(summary) is None
    tuned = asked().tuned(summary)
    assert tuned is not None
    assert (tuned.runs, tuned.steps, tuned.passes) == (6, (150, 150), (37.5, 37.5))


def test_runs_in_thinking_mode_are_a_cell_of_their_own() -> None:
    plain = [row(number, gap, gap) for number, gap in enumerate(GAPS)]
    thinking = [row(10 + number, gap, 0.1 * gap, mode="thinking") for number, gap in enumerate(GAPS)]
    table = fits.table(plain + thinking)
    summary, laws = summarize(plain + thinking, table, []), fits.laws.fit(table)
    one, other = asked(), asked()._replace(mode="thinking")
    assert (one.leaf(summary), other.leaf(summary)) == (CELL, f"{CELL}|thinking")
    assert [next(iter(summary.cells[name].values())).runs for name in (one.moded_cell, other.moded_cell)] == [6, 6]
    assert predicted(laws, Target.TRAIN, 150, other.leaf(summary)) < 0.1 < 0.15 < predicted(laws, Target.TRAIN, 150)
    slow = asked(learning_rate=1e-6)._replace(mode="thinking")
    assert slow.leaf(summary) == f"{CELL}|thinking|lr~1e-6,full,problems~128"


@pytest.mark.parametrize(
    ("rate", "problems", "name"),
    [
        (5e-4, 128, "lr~1e-3.5,full,problems~128"),
        (1.5e-3, 150, "lr~1e-3,full,problems~128"),
        (None, None, "lr~?,full,problems~?"),
    ],
)
def test_a_tuning_is_told_in_half_decades_and_octaves(rate: float | None, problems: int | None, name: str) -> None:
    assert Tuning.of(rate, "full", problems).name == name


def test_an_unknown_version_is_refused() -> None:
    record = fits.laws.fit(fits.table([row(1, 0.1, 0.1)])).to_record()
    with pytest.raises(ValueError, match="version: expected 5 or before, got 99"):
        Laws.from_record(record | {"version": 99})
    before = Laws.from_record(record | {"version": 4})
    assert predicted(before, Target.TRAIN, 150) == predicted(Laws.from_record(record), Target.TRAIN, 150)
    alone = record["laws"][0]
    assert np.isfinite(predicted(Laws.from_record(alone), Target.TRAIN, 150))
