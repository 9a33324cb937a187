"""What holds for any store."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from service.law import GapLaw, Observations, Probe

pytestmark = pytest.mark.slow

PROBE = {"gap": [0.05, 0.2, 0.6], "gap_var": 4e-4, "baseline": 0.3}
FAMILIES = ("f0", "f1", "new")
EXAMPLES = pytest.mark.parametrize("examples", [5, pytest.param(25, marks=pytest.mark.slow)])
"""stores that a property is tried on: a law takes a tenth of a second to fit"""


def predicted(law, names=FAMILIES):
    outs = [law.predict_improvement(Probe(**PROBE, family=name)) for name in names]
    return np.array([[out.mean, out.p_positive, *out.interval(0.8), *out.interval(0.95)] for out in outs])


@EXAMPLES
def test_order_does_not_matter(store, rows_of, examples):
    @given(seed=st.integers(0, 10_000), cells=st.booleans())
    @settings(deadline=None, max_examples=examples)
    def holds(seed, cells):
        observations = store(seed, (4, 2, 5), cells=cells, collapsed=True)
        shuffled = rows_of(observations, np.random.default_rng(seed).permutation(11))
        np.testing.assert_allclose(predicted(GapLaw().fit(shuffled)), predicted(GapLaw().fit(observations)), atol=1e-9)

    holds()


@EXAMPLES
def test_names_do_not_matter(store, examples):
    @given(seed=st.integers(0, 10_000))
    @settings(deadline=None, max_examples=examples)
    def holds(seed):
        observations = store(seed, (4, 2, 5))
        names = {"f0": "zebra", "f1": "f2", "f2": "a", "new": "other"}
        columns = ("gap", "gap_var", "improvement", "improvement_var", "cov", "baseline")
        renamed = Observations(
            **{name: getattr(observations, name) for name in columns},
            family=[names[name] for name in observations.family],
        )
        found = predicted(GapLaw().fit(renamed), [names[name] for name in FAMILIES])
        np.testing.assert_allclose(found, predicted(GapLaw().fit(observations)), atol=1e-9)

    holds()


@EXAMPLES
def test_intervals_are_nested_around_the_median(store, examples):
    @given(seed=st.integers(0, 10_000), levels=st.lists(st.floats(0.001, 0.999), min_size=2, max_size=5))
    @settings(deadline=None, max_examples=examples)
    def holds(seed, levels):
        law = GapLaw().fit(store(seed, (2, 3)))
        out = law.predict_improvement(Probe(gap=0.2, gap_var=1e-3, family="f0"))
        intervals = [out.interval(level) for level in sorted(levels)]
        for (lower, upper), (next_lower, next_upper) in pairwise(intervals):
            assert next_lower <= lower + 1e-9
            assert lower <= upper
            assert upper <= next_upper + 1e-9

    holds()


share = st.floats(-1, 1)
variance = st.floats(0, 1)
name = st.sampled_from(["a", "b", "c"])


@pytest.mark.parametrize("examples", [15, pytest.param(60, marks=pytest.mark.slow)])
def test_any_finite_input_gives_a_finite_answer(examples):
    @given(
        rows=st.lists(st.tuples(share, variance, share, variance, share, name, name, st.booleans()), max_size=12),
        probe=st.tuples(share, variance, variance, share, st.floats(0, 1)),
        cells=st.booleans(),
    )
    @settings(deadline=None, max_examples=examples)
    def holds(rows, probe, cells):
        x, x_var, y, y_var, correlation, family, cell, collapsed = zip(*rows, strict=True) if rows else ((),) * 8
        observations = Observations(
            gap=x,
            gap_var=x_var,
            improvement=y,
            improvement_var=y_var,
            cov=np.multiply(correlation, np.sqrt(np.multiply(x_var, y_var))),
            family=family,
            cell=cell if cells else None,
            collapsed=np.array(collapsed, dtype=bool),
        )
        law = GapLaw().fit(observations)
        gap, gap_var, improvement_var, correlation, baseline = probe
        for wanted in ("a", "new"):
            out = law.predict_improvement(
                Probe(
                    gap=gap,
                    gap_var=gap_var,
                    family=wanted,
                    cell="a" if cells else None,
                    baseline=baseline,
                    improvement_var=improvement_var,
                    cov=correlation * (gap_var * improvement_var) ** 0.5,
                )
            )
            numbers = [out.mean, out.p_positive, *out.interval(0.95)]
            assert np.isnan(numbers).all() if out.refused else np.isfinite(numbers).all()
            assert 0 < out.p_collapse < 1
            assert np.isfinite([law.coefficients(wanted).slope, law.coefficients(wanted).intercept]).all()
        assert all(np.isfinite(column).all() for column in vars(law.diagnostics_).values())

    holds()


@EXAMPLES
def test_a_record_replays_bit_by_bit(store, examples):
    @given(seed=st.integers(0, 10_000), cells=st.booleans(), empty=st.booleans())
    @settings(deadline=None, max_examples=examples)
    def holds(seed, cells, empty):
        law = GapLaw(levels=(0.5,)).fit(store(seed, () if empty else (4, 2, 5), cells=cells))
        replayed = GapLaw.from_record(json.loads(json.dumps(law.to_record(), allow_nan=False)))
        np.testing.assert_array_equal(predicted(replayed), predicted(law))
        assert replayed.coefficients("f1") == law.coefficients("f1")
        assert replayed.families_ == law.families_
        assert replayed.levels == law.levels
        assert replayed.to_record() == law.to_record()

    holds()


@pytest.mark.parametrize("teacher", [None, "frozen", "ema"])
def test_a_record_of_the_line_alone_answers_as_it_did(store, rows_of, teacher):
    """Written before there were links: of ``store(5, (6, 4), cells=True)``, all teachers in one pool."""
    written = json.loads((Path(__file__).parent / "record_of_the_line.json").read_text())
    law = GapLaw.from_record(written)
    probe = Probe(gap=0.2, gap_var=1e-3, family="f0", cell="c1", baseline=0.3, teacher=teacher)
    assert law.predict_improvement(probe).interval(0.95) == pytest.approx((0.06093761, 0.22630297), abs=1e-8)
    assert law.families_ == {"f0": 6, "f1": 4}
    assert law.links("f0") == {"linear": 1.0, "tanh": 0.0, "exp": 0.0}
    again = GapLaw.from_record(json.loads(json.dumps(law.to_record(), allow_nan=False)))
    assert again.to_record() == law.to_record()
    # it goes on as a line
    law.update(rows_of(store(5, (6, 4), cells=True), [2]))
    assert law.families_ == {"f0": 7, "f1": 4}


def test_a_record_of_another_version_is_refused(store):
    written = GapLaw().fit(store(0)).to_record()
    with pytest.raises(ValueError, match="version"):
        GapLaw.from_record({**written, "version": 99})
    with pytest.raises(ValueError, match="priors"):
        GapLaw.from_record({**written, "priors": {**written["priors"], "tau1_scale": 9.0}})


def test_a_record_holds_no_rows_but_their_order(store, rows_of):
    observations = store(0)
    written, turned = (GapLaw().fit(rows_of(observations, i)).to_record() for i in (slice(None), slice(None, None, -1)))
    assert "obs_1" not in json.dumps(written)
    assert written["ids_hash"] != turned["ids_hash"]


def test_scikit_learn_conventions(store):
    law = GapLaw(levels=(0.5, 0.9))
    assert clone(law).get_params() == {
        "levels": (0.5, 0.9),
        "candidate_links": ("linear", "tanh", "exp"),
        "dilution": False,
    }
    assert clone(law).set_params(dilution=True).dilution
    with pytest.raises(ValueError, match="seed: expected one of levels, candidate_links, dilution"):
        law.set_params(seed=1)
    with pytest.raises(NotFittedError):
        check_is_fitted(law)
    check_is_fitted(clone(law).fit(store(0)))
    with pytest.raises(NotFittedError):
        law.predict_improvement(Probe(gap=0.1, gap_var=0.0, family="f0"))
    with pytest.raises(ValueError, match=r"level 1\.0"):
        GapLaw(levels=(1.0,)).fit(store(0))
