from typing import Any

import pytest

from gapcast import Client, GapcastError


def test_a_fit_is_read_by_pool_and_by_id(connected: Client) -> None:
    fit = connected.fits.current("lab")
    assert fit.pool == "lab"
    line = next(one for one in fit.families if one.family == "lab-qwen3")
    assert line.slope_interval[0] < line.slope < line.slope_interval[1]
    assert (line.teacher_rule, line.divergence, line.depends_on_link) == ("frozen", "forward_kl", False)
    assert line.links.linear + line.links.saturating == pytest.approx(1)
    assert line.at_common_gap.gap == 0.15
    assert fit.model_dump(exclude={"behind"}) == connected.fits.get(fit.id).model_dump()
    assert connected.fits.create("lab") == connected.fits.get(fit.id)


def test_a_pool_without_runs_answers_with_the_prior(connected: Client) -> None:
    fit = connected.fits.current()
    assert (fit.pool, fit.n, fit.families, fit.curvature_p) == ("default", 0, [], None)
    assert [one.status for one in fit.populations] == ["prior_only"]
    assert connected.fits.residuals(fit.id).data == []
    assert connected.fits.scaling(fit.id).families == []
    assert connected.fits.calibration(fit.id).n == 0


def test_an_unknown_pool_is_refused(connected: Client) -> None:
    with pytest.raises(GapcastError, match="lab") as refused:
        connected.fits.current("no-such-pool")
    assert refused.value.code == "unknown_pool"


def test_refit_makes_a_version_of_what_has_changed(connected: Client, pool: str, row: dict[str, Any]) -> None:
    connected.observations.create([row], pool)
    first = connected.fits.create(pool)
    connected.observations.create([row | {"baseline": 0.3}], pool)
    second = connected.fits.create(pool)
    assert (first.n, second.n) == (1, 2)
    assert connected.fits.get(first.id).n == 1


def test_residuals_come_in_pages(connected: Client) -> None:
    fit = connected.fits.current("lab")
    first = connected.fits.residuals(fit.id, limit=20, order="asc")
    rest = connected.fits.residuals(fit.id, limit=100, order="asc", after=first.last_id)
    assert (first.has_more, len(first.data), len(rest.data), rest.has_more) == (True, 20, fit.n - 20, False)
    one = first.data[0]
    assert one.residual == pytest.approx(one.improvement - one.expected)
    outliers = connected.fits.residuals(fit.id, outliers=True, limit=100)
    assert len(outliers.data) == outliers.outliers == 0, "what half-wrong solutions gained is their context's"
    assert connected.fits.residuals(fit.id, family="none").data == []


def test_a_curve_spans_what_was_asked_for(connected: Client) -> None:
    fit = connected.fits.current("lab")
    curve = connected.fits.curve(fit.id, "lab-qwen3", level=0.8, first=0.0, last=0.4, points=5)
    assert curve.gap == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert curve.level == 0.8
    bare = connected.fits.curve(fit.id, "lab-qwen3", level=0.8, first=0.0, last=0.4, points=5, measurement_se=0)
    assert bare.measurement_se == 0 < curve.measurement_se
    assert bare.prediction_upper[2] < curve.prediction_upper[2]
    cell = "lab-qwen3|lab/addition|frozen-forward_kl"
    assert connected.fits.curve(fit.id, "lab-qwen3", cell=cell, points=2).cell == cell


def test_a_curve_is_of_one_recipe_and_of_one_headroom(connected: Client, undecided: str, row: dict[str, Any]) -> None:
    frozen = row | {"recipe": {"teacher": "frozen", "divergence": "js"}}
    connected.observations.create([frozen], undecided)
    fit = connected.fits.current(undecided)
    assert [(one.teacher_rule, one.divergence, one.n) for one in fit.families] == [
        ("co_moving", "reverse_kl", 6),
        ("frozen", "js", 1),
    ]
    most = connected.fits.curve(fit.id, "qwen3", points=2)
    assert (most.teacher_rule, most.divergence, most.baseline) == ("co_moving", "reverse_kl", row["baseline"])
    other = connected.fits.curve(fit.id, "qwen3", teacher="trust_region", divergence="js", points=2)
    assert (other.teacher_rule, other.divergence) == ("frozen", "js")
    assert other.links.linear > most.links.linear
    low = connected.fits.curve(fit.id, "qwen3", baseline=0.9, points=2)
    assert (low.baseline, low.mean[-1] < most.mean[-1]) == (0.9, True)
    with pytest.raises(GapcastError, match="cell"):
        connected.fits.curve(fit.id, "qwen3", cell="qwen3|livecodebench|frozen-js", teacher="frozen")


def test_scaling_tells_sizes_apart(connected: Client) -> None:
    (family,) = connected.fits.scaling(connected.fits.current("lab").id).families
    assert (family.teacher_rule, family.divergence, family.linear_weight > 0.95) == ("frozen", "forward_kl", True)
    small, large = family.sizes
    assert small.parameters < large.parameters
    assert family.homogeneity is not None
    assert family.trend is not None
    assert family.trend.lower < family.trend.per_tenfold < family.trend.upper


def test_an_outcome_shows_in_the_calibration(connected: Client, pool: str, row: dict[str, Any]) -> None:
    connected.observations.create([row], pool)
    asked = {"model": {"name": "Qwen3-8B", "family": "qwen3"}, "task": "livecodebench", "pool": pool}
    gap = {"value": 0.2, "se": 0.02, "student": 0.4}
    prediction = connected.predictions.create(asked | {"context": {"kind": "feedback"}, "gap": gap})
    connected.observations.create([row | {"prediction_id": prediction.id}], pool)
    found = connected.fits.calibration(connected.fits.current(pool).id, [0.9])
    assert (found.n, [one.level for one in found.levels]) == (1, [0.9])
    assert found.outcomes[0].prediction_id == prediction.id
    default = connected.fits.calibration(connected.fits.current(pool).id)
    assert [one.level for one in default.levels] == [0.5, 0.8, 0.95]


def test_a_probes_size_or_why_there_is_none(connected: Client) -> None:
    asked = {"model": {"name": "lab/addition-qwen3-s"}, "task": "lab/addition"}
    asked |= {"context": {"kind": "hints", "options": {"level": 2}}}
    found = connected.probes.size(asked | {"target_half_width": 0.12})
    assert found.reachable
    assert found.half_width == pytest.approx(0.12, abs=0.002)
    none = connected.probes.size(asked | {"target_half_width": 0.01})
    assert not none.reachable
    assert none.problems is None
    assert none.floor > 0.01
