import numpy as np
import pytest

from service.law import Observations, Probe

ROW = {"gap": [0.1, 0.2], "gap_var": [1e-3] * 2, "improvement": [0.1, 0.2], "improvement_var": [1e-3] * 2}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("gap", [0.1, 31.0], "gap, row 1: 31.0"),
        ("gap", [0.1, np.nan], "gap, row 1: nan"),
        ("gap_var", [-1e-9, 0.1], "gap_var, row 0"),
        ("improvement", [0.1], "improvement has shape"),
        ("improvement_var", [0.1, np.inf], "improvement_var, row 1: inf"),
        ("cov", [0.0, 2e-3], "cov, row 1"),
        ("baseline", [0.4, 1.4], "baseline, row 1"),
        ("family", ["a", ""], "family, row 1: ''"),
        ("cell", ["a"], "cell has 1 rows"),
        ("cell", ["a", ""], "cell, row 1"),
        ("ids", [None, "b"], "ids, row 0: None"),
        ("collapsed", [True], "collapsed has shape"),
        ("baseline_var", [0.1, 2.0], "baseline_var, row 1"),
        ("teacher", [None, "teacher"], "teacher, row 1: 'teacher' is none of frozen, trust_region, ema, live"),
        ("teacher", ["ema"], "teacher has 1 rows"),
        ("divergence", ["kl", "js"], "divergence, row 0: 'kl'"),
    ],
)
def test_a_bad_column_is_named_with_its_row(field, value, said):
    with pytest.raises(ValueError, match=said):
        Observations(**{"family": ["a", "b"], **ROW, field: value})


def test_unknown_baselines_and_cells_are_allowed():
    observations = Observations(**ROW, family=["a", "b"], baseline=[None, 0.4], cell=[None, "c"])
    assert np.isnan(observations.baseline[0])
    assert observations.cell == (None, "c")


def test_the_callers_array_can_change():
    gap = np.array(ROW["gap"])
    observations = Observations(**{**ROW, "gap": gap}, family=["a", "b"])
    gap[:] = 0.9
    assert observations.gap[0] == 0.1


def test_a_probe_broadcasts():
    probe = Probe(gap=[[0.1], [0.2]], gap_var=1e-3, family=["a", "b", "c"], cell=None, baseline=0.3)
    assert probe.shape == (2, 3)
    assert probe.family == ("a", "b", "c") * 2
    assert probe.gap.tolist() == [0.1] * 3 + [0.2] * 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gap": [0.1, 2.0]}, "gap, row 1"),
        ({"baseline": -0.1}, "baseline, row 0"),
        ({"cov": 1e-3}, "cov, row 0"),  # a latent improvement has no sampling error to share
        ({"family": [""]}, "family, row 0"),
        ({"teacher": "emma"}, "teacher, row 0"),
        ({"divergence": ["js", "l2"]}, "divergence, row 1"),
        ({"gap": [0.1, 0.2], "family": ["a", "b", "c"]}, "broadcast"),
    ],
)
def test_a_bad_probe_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        Probe(**{"gap": 0.1, "gap_var": 1e-3, "family": "a", **change})


def test_rows_are_taken_and_joined():
    every = Observations(
        **ROW, family=["a", "b"], cell=[None, "c"], teacher=["ema", None], divergence=[None, "js"], ids=["1", "2"]
    )
    last, first = (every.take(np.array([row])) for row in (1, 0))
    assert (last.family, last.cell, last.ids) == (("b",), ("c",), ("2",))
    assert (last.teacher, last.divergence) == ((None,), ("js",))
    back = Observations.joined([first, last])
    assert back.gap.tolist() == every.gap.tolist()
    assert back.teacher == every.teacher
    assert Observations.joined([first, Observations(**ROW, family=["a", "b"])]).ids is None


def test_a_baseline_is_as_uncertain_as_its_gap_unless_said():
    assert Observations(**ROW, family=["a", "b"]).baseline_var.tolist() == ROW["gap_var"]
    assert Probe(gap=[0.1, 0.2], gap_var=1e-3, family="a", baseline_var=2e-3).baseline_var.tolist() == [2e-3, 2e-3]


def test_a_probe_broadcasts_its_teacher():
    probe = Probe(gap=[[0.1], [0.2]], gap_var=1e-3, family="a", teacher=["ema", None], divergence="js")
    assert probe.shape == (2, 2)
    assert probe.teacher == ("ema", None) * 2
    assert probe.divergence == ("js",) * 4
