"""Contexts as a level of the law: LAW part 3."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from service.law import Code, GapLaw, Known, Observations, Probe, collapse, effects, grid, scales, scaling
from service.law.components import Asked, Coefficients, normals
from service.law.contexts import Place
from service.law.drift import drift_log_bayes_factor
from service.law.fitting import Integrated, Passed, Stored, _start, fit
from service.law.hierarchy import message_up, place, posterior_down
from service.law.links import EXP, LINEAR, TANH
from service.law.models import Model
from service.law.state import ModelState

pytestmark = pytest.mark.slow

LINKS = pytest.mark.parametrize("link", [LINEAR, TANH], ids=["linear", "tanh"])


def draw(seed=0, *, contexts=6, seeds=3, tau=0.06, models=2, sigma=0.02, cells=1, teacher="frozen", spread=True):
    """Runs of contexts that differ from the line: one family, ``models`` models, ``seeds`` runs a configuration."""
    rng = np.random.default_rng(seed)
    rows = [
        (cell, context, model)
        for cell in range(cells)
        for context in range(contexts)
        for model in range(models)
        for _ in range(seeds)
    ]
    n = len(rows)
    cell, context, model = np.array(rows).T
    gap_of = rng.uniform(0, 0.35, (cells, contexts))
    own = rng.normal(0, tau * 0.8, (cells, contexts))
    gap = gap_of[cell, context]
    improvement = 1.2 * gap + own[cell, context] + rng.normal(0, sigma, n)
    variance = rng.uniform(2e-4, 1e-3, (3, n))
    return Observations(
        gap=gap + rng.normal(0, np.sqrt(variance[0])),
        gap_var=variance[0],
        improvement=improvement + rng.normal(0, np.sqrt(variance[1])),
        improvement_var=variance[1],
        cov=0.3 * np.sqrt(variance[0] * variance[1]),
        family=["f"] * n,
        cell=[f"c{i}" for i in cell],
        baseline=np.full(n, 0.4),
        teacher=[teacher] * n,
        divergence=["forward_kl"] * n,
        context=[json.dumps({"kind": "hints", "number": int(i)}) for i in context],
        model=[f"m{i}" for i in model],
        gap_spread=rng.uniform(0.0, 0.08, (cells, contexts))[cell, context] if spread else None,
        ids=[f"obs_{i}" for i in range(n)],
    )


def key(number):
    return json.dumps({"kind": "hints", "number": number})


def without(observations, *names):
    columns = {**vars(observations)}
    return Observations(**{name: value for name, value in columns.items() if name not in names})


def ask(context=None, model=None, **more):
    about = {"gap": 0.2, "gap_var": 5e-4, "family": "f", "cell": "c0", "baseline": 0.4}
    return Probe(
        **{**about, "teacher": "frozen", "divergence": "forward_kl", "context": context, "model": model, **more}
    )


@pytest.fixture(scope="module")
def law():
    return GapLaw().fit(draw())


def symmetric(stack, size):
    return np.array([[stack[place(i, j)] for j in range(size)] for i in range(size)])


def test_three_coefficients_go_up_and_down_a_level_as_matrices_do():
    rng = np.random.default_rng(1)
    half = rng.normal(size=(3, 3))
    A, R, t = half @ half.T, rng.normal(size=3), np.array([0.3, 0.0, 1.2])
    T, M = np.diag(t), np.eye(3) + np.diag(t) @ A
    stack = np.array([A[i, j] for j in range(3) for i in range(j + 1)])
    W, u, factor = message_up(stack, R, t)
    np.testing.assert_allclose(symmetric(W, 3), A @ np.linalg.inv(M), atol=1e-12)
    np.testing.assert_allclose(u, np.linalg.inv(M).T @ R, atol=1e-12)
    expected = 0.5 * R @ np.linalg.inv(M) @ T @ R - 0.5 * np.log(np.linalg.det(M))
    assert factor == pytest.approx(expected, abs=1e-12)
    mean, cov = rng.normal(size=3), np.linalg.inv(A) + np.eye(3)
    found_mean, found_cov = posterior_down(
        stack, R, t, mean, np.array([cov[i, j] for j in range(3) for i in range(j + 1)])
    )
    B = np.linalg.inv(M)
    np.testing.assert_allclose(found_mean, B @ mean + B @ T @ R, atol=1e-12)
    np.testing.assert_allclose(symmetric(found_cov, 3), B @ T + B @ cov @ B.T, atol=1e-12)


def dense(likelihood, posterior, node, extra=None):
    """Mean and covariance of improvements at a node of the grid, as one normal; with ``extra``, of one more value.

    ``extra`` is zeta_0, and the context and the configuration that it is of.
    """
    rows, nodes = likelihood.rows, posterior.grid
    triple = nodes.sigma_index[node]
    tau2, q = nodes.scales.tau[triple] ** 2, nodes.scales.share[triple]
    f1, s = likelihood.gradient, likelihood.gradient * likelihood.effect
    X = rows.zeta(s)[:-1].T * f1[:, None]
    context, configuration = rows.contexts.context[rows.configuration], rows.configuration
    leaf = rows.leaf
    if extra is not None:
        X, s = np.vstack([X, extra[0]]), np.append(s, 1.0)
        context, configuration, leaf = (
            np.append(context, extra[1]),
            np.append(configuration, extra[2]),
            np.append(leaf, 0),
        )
    d = X.shape[1]
    T, rho2T = np.diag(nodes.family_variance[:, node]), np.diag(nodes.cell_variance[:, node])
    mu = np.zeros((d, d))
    mu[:2, :2] = np.diag(1 / posterior.prior.precision)
    V = X @ (mu + T) @ X.T + (X @ rho2T @ X.T) * (leaf[:, None] == leaf)
    V += np.outer(s, s) * ((1 - q) * tau2 * (context[:, None] == context))
    V += np.outer(s, s) * (q * tau2 * (configuration[:, None] == configuration))
    n = len(rows.x)
    V[:n, :n] += np.diag(likelihood.variance(nodes.sigma[triple] ** 2))
    return X[:, :2] @ posterior.prior.mean, V


@LINKS
@pytest.mark.parametrize("dilution", [False, True])
def test_nested_messages_are_a_dense_gaussian(link, dilution):
    stored = Stored.of(draw(3, contexts=4, seeds=2, cells=2), dilution=dilution)
    passed = Passed.start(stored, Model(link, 0.0)).after(stored.grid(Model(link, 0.0), thin=True), 2, collapses=False)
    likelihood, r = passed.likelihood, passed.weight
    posterior = Integrated.of(likelihood, r, stored.grid(passed.model, thin=True), link.prior).posterior
    prior, n = posterior.prior, len(r)
    constant = 0.5 * (np.log(prior.precision) - prior.precision * prior.mean**2).sum() - 0.5 * n * np.log(2 * np.pi)
    y = likelihood.gradient * likelihood.response
    nodes = posterior.grid
    rng = np.random.default_rng(0)
    some = rng.choice(np.flatnonzero(nodes.scales.tau[nodes.sigma_index] > 0), 6).tolist()
    some += rng.choice(np.flatnonzero(nodes.scales.tau[nodes.sigma_index] == 0), 2).tolist()
    state = ModelState.of(passed.fitted(), 1.0)
    sums, _ = likelihood.configuration_sums(stored.rows.contexts, r, nodes.scales.sigmas)
    known = effects_of(state, sums)
    for node in some:
        mean, V = dense(likelihood, posterior, node)
        expected = multivariate_normal.logpdf(y, mean, V)
        assert posterior.log_weight[node] - nodes.log_prior[node] + constant == pytest.approx(expected, abs=1e-8)
    if link is not LINEAR:
        return
    zeta = [1.0, 0.2, 0.3][: nodes.dimensions]
    for name, context, configuration in (("configuration", 1, 2), ("context", 1, -1), ("new", -1, -1)):
        asked_place = {
            "configuration": stored.rows.contexts.places[2],
            "context": stored.rows.contexts.places[2]._replace(model="another"),
            "new": Place(("f", "c0"), "another", "m0"),
        }[name]
        effect = known.of(asked_place, nodes.scales)
        for node in some:
            mean, V = dense(likelihood, posterior, node, (zeta, context, configuration))
            gain = np.linalg.solve(V[:n, :n], V[:n, n])
            expected_mean = mean[n] + gain @ (y - mean[:n])
            expected_variance = V[n, n] - gain @ V[:n, n]
            b, cov = (part[:, [[node]]].reshape(-1, 1, 1) for part in posterior.coefficients("f", "c0"))
            triple = nodes.sigma_index[[node]]
            sigma_square = np.zeros((1, 1))
            found = None
            if effect is None:
                sigma_square = sigma_square + nodes.scales.tau[triple] ** 2
            else:
                found = effects.Effect(*(part[..., None, :][..., triple] for part in effect))
            at = Coefficients(np.ones(1), b, cov, sigma_square, found)
            nothing = np.zeros((1, 1))
            x, w = np.full((1, 1), 0.2), np.full((1, 1), 0.3)
            asked = Asked(x, nothing, nothing, nothing, nothing, nothing + 0.6, nothing, w)
            _, value, sd = normals(link, at, asked)
            assert value[0, 0] == pytest.approx(expected_mean, abs=1e-8)
            assert sd[0, 0] ** 2 == pytest.approx(expected_variance, abs=1e-8)


def effects_of(state, sums):
    """The stored effects with sums at every sigma of the grid, not only at those that were left."""
    return type(state.effects)(state.effects.contexts, sums)


def test_a_bent_link_of_a_roomy_headroom_answers_like_the_line():
    """The formulas of bent links for stored contexts hold at the limit where they are the line's."""
    rng = np.random.default_rng(0)
    J = 5
    at = Coefficients(
        np.full(J, 1 / J),
        rng.normal([[[0.01]], [[1.2]]], 0.05, (2, 1, J)),
        np.array([[[2e-4]], [[-5e-4]], [[5e-3]]]) * np.ones((3, 1, J)),
        np.full((1, J), 4e-4),
        effects.Effect(rng.normal(0, 0.05, (1, J)), rng.uniform(0, 0.5, (2, 1, J)), np.full((1, J), 1e-3)),
    )
    one = np.ones((1, 1))
    asked = Asked(0.2 * one, 3e-4 * one, 2e-4 * one, 0 * one, 0 * one, 1e7 * one, 0 * one, 0 * one)
    _, mean, sd = normals(LINEAR, at, asked)
    weight, many, spread = (part.reshape(J, 5) for part in normals(EXP, at, asked))
    share = weight / weight.sum(axis=1, keepdims=True)
    centre = (share * many).sum(axis=1)
    variance = (share * (spread**2 + many**2)).sum(axis=1) - centre**2
    np.testing.assert_allclose(centre, mean[0], atol=1e-6)
    np.testing.assert_allclose(variance, sd[0] ** 2, rtol=1e-5)


@pytest.mark.parametrize("teacher", ["frozen", "ema"])
def test_a_store_whose_contexts_are_all_different_is_as_before(teacher):
    observations = draw(5, seeds=1, models=1, contexts=12, teacher=teacher)
    plain = without(observations, "context", "model", "gap_spread")
    with_contexts, before = GapLaw(dilution=True).fit(observations), GapLaw().fit(plain)
    out, expected = (one.predict_improvement(ask(key(3), "m0", teacher=teacher)) for one in (with_contexts, before))
    np.testing.assert_array_equal(out.quantiles([0.1, 0.5, 0.9]), expected.quantiles([0.1, 0.5, 0.9]))
    assert out.context_known is None
    assert out.warnings == expected.warnings


@LINKS
def test_without_spread_of_contexts_it_is_part_two_of_as_many_passes(monkeypatch, link):
    monkeypatch.setattr(grid, "TAU", np.empty(0))
    monkeypatch.setattr(scales, "NO_EFFECTS", 1 - 1e-12)
    _start.cache_clear()
    observations, model = draw(6), Model(link, 0.0)
    mine = fit(observations, model)
    plain = fit(without(observations, "context", "model"), model, passes=7)
    _start.cache_clear()
    assert mine.log_evidence == pytest.approx(plain.log_evidence, abs=1e-8)
    np.testing.assert_allclose(mine.mean, plain.mean, atol=1e-8)
    np.testing.assert_allclose(mine.cov, plain.cov, atol=1e-8)
    back = [np.argsort(one.rows.order) for one in (mine, plain)]
    np.testing.assert_allclose(mine.weight[back[0]], plain.weight[back[1]], atol=1e-8)


def test_a_stored_context_is_known_better_the_more_is_stored_of_it(law):
    widths = []
    for probe in (ask(key(2), "m0"), ask(key(2), "m7"), ask("another"), ask()):
        lower, upper = law.predict_improvement(probe).interval(0.95)
        widths.append(upper - lower)
    assert widths[0] < widths[1] < 0.9 * widths[2]
    assert widths[2] == widths[3]
    known = [law.predict_improvement(ask(key(2), model)).context_known for model in ("m0", "m7", None)]
    assert known == [Known.CONFIGURATION, Known.CONTEXT, Known.CONTEXT]
    out = law.predict_improvement(ask([key(2), "another"], "m0"))
    assert out.context_known.tolist() == [Known.CONFIGURATION, Known.NEW]


def test_a_stored_effect_moves_the_answer_towards_its_runs():
    observations = draw(7, tau=0.15)
    law = GapLaw().fit(observations)
    residual = observations.improvement - 1.2 * observations.gap
    for number in range(6):
        mine = [context == key(number) for context in observations.context]
        off = law.predict_improvement(ask(key(number), "m0")).mean - law.predict_improvement(ask("another")).mean
        centre = np.mean(residual[mine]) - np.mean(residual)
        assert np.sign(off) == np.sign(centre) or abs(centre) < 0.02


def test_two_answers_at_once_are_those_one_by_one(law):
    places = [(key(1), "m0"), ("another", "m0"), (key(3), "m9"), (None, None)]
    together = law.predict_improvement(ask(*zip(*places, strict=True))).quantiles([0.025, 0.5, 0.975])
    for place_, quantiles in zip(places, together, strict=True):
        alone = law.predict_improvement(ask(*place_)).quantiles([0.025, 0.5, 0.975])
        np.testing.assert_allclose(quantiles, alone, atol=1e-9)


def test_a_context_off_the_line_is_no_collapse():
    """Three seeds of one context 30 points under the line: without the level they pass for collapsed."""
    observations = draw(8, contexts=8, models=1, tau=0.02)
    low = np.array([context == key(4) for context in observations.context])
    improvement = observations.improvement - 0.3 * low
    shifted = Observations(**{**vars(observations), "improvement": improvement})
    with_level, before = GapLaw().fit(shifted), GapLaw().fit(without(shifted, "context", "model"))
    assert with_level.diagnostics_.weight[low].min() > 0.9
    assert before.diagnostics_.weight[low].max() < 0.5
    # and one seed off its own context is one
    first = np.flatnonzero(~low)[0]
    alone = Observations(
        **{**vars(observations), "improvement": observations.improvement - 0.4 * (np.arange(24) == first)}
    )
    assert GapLaw().fit(alone).diagnostics_.weight[first] < 0.2


def test_rows_of_unknown_context_or_model_stand_for_themselves():
    observations = draw(9)
    columns = {**vars(observations)}
    columns["context"] = tuple(None if row % 6 == 5 else context for row, context in enumerate(observations.context))
    columns["model"] = tuple(None if row % 6 == 4 else model for row, model in enumerate(observations.model))
    stored = Stored.of(Observations(**columns))
    groups = stored.rows.contexts
    unknown = [index for index, one in enumerate(groups.places) if one.context is None]
    assert len(unknown) == 6
    assert (groups.n[unknown] == 1).all()
    assert len({int(groups.context[index]) for index in unknown}) == 6
    assert sum(one.model is None for one in groups.places) >= 6
    assert (np.diff(stored.rows.configuration) >= 0).all()
    assert (np.diff(stored.rows.leaf) >= 0).all()


def test_runs_that_collapsed_do_not_make_a_context_known():
    observations = draw(10, contexts=7)
    gone = np.array([context == key(6) for context in observations.context])
    law = GapLaw().fit(Observations(**{**vars(observations), "collapsed": gone}))
    assert law.predict_improvement(ask(key(6), "m0")).context_known is Known.NEW
    assert law.predict_improvement(ask(key(5), "m0")).context_known is Known.CONFIGURATION


def codes(law, probe):
    return {caution.code for caution in law.predict_improvement(probe).warnings}


def test_cautions_of_contexts(law):
    assert not codes(law, ask(key(1), "m0")) & {
        Code.NEW_CONTEXT,
        Code.FEW_CONTEXTS,
        Code.UNLIKE_CONTEXT,
        Code.NO_SPREAD,
    }
    assert Code.NEW_CONTEXT in codes(law, ask(key(17), "m0"))
    assert Code.UNLIKE_CONTEXT not in codes(law, ask(key(17), "m0"))
    assert Code.UNLIKE_CONTEXT in codes(law, ask(json.dumps({"kind": "solution"}), "m0"))
    (message,) = [one.message for one in law.predict_improvement(ask()).warnings if one.code is Code.NEW_CONTEXT]
    assert f"{law.context_sd('f', 'c0').mean:.3f}" in message
    assert Code.UNLIKE_CONTEXT in codes(law, ask(key(1), "m0", gap_spread=0.9))
    few = GapLaw().fit(draw(contexts=3))
    assert Code.FEW_CONTEXTS in codes(few, ask(key(1), "m0"))
    diluted = GapLaw(dilution=True).fit(draw())
    assert Code.NO_SPREAD in codes(diluted, ask(key(1), "m0"))
    assert Code.NO_SPREAD not in codes(diluted, ask(key(1), "m0", gap_spread=0.05))
    assert Code.NO_SPREAD in codes(GapLaw(dilution=True).fit(draw(spread=False)), ask(key(1), gap_spread=0.05))


@pytest.mark.parametrize("teacher", ["frozen", pytest.param("ema", marks=pytest.mark.slow)])
@pytest.mark.parametrize("dilution", [False, True])
def test_a_record_with_contexts_replays_bit_by_bit(teacher, dilution):
    law = GapLaw(dilution=dilution).fit(draw(11, teacher=teacher, cells=2))
    replayed = GapLaw.from_record(json.loads(json.dumps(law.to_record(), allow_nan=False)))
    probe = ask([key(1), key(1), "another"], ["m0", "m9", None], teacher=teacher, gap_spread=0.05)
    mine, theirs = (one.predict_improvement(probe) for one in (law, replayed))
    np.testing.assert_array_equal(mine.quantiles([0.025, 0.5, 0.9]), theirs.quantiles([0.025, 0.5, 0.9]))
    assert mine.context_known.tolist() == theirs.context_known.tolist()
    assert mine.warnings == theirs.warnings
    assert replayed.context_effects() == law.context_effects()
    about = {"family": "f", "cell": "c0", "teacher": teacher, "divergence": "forward_kl"}
    assert replayed.context_sd(**about) == law.context_sd(**about)
    assert replayed.carry_over(**about) == law.carry_over(**about)
    assert replayed.to_record() == law.to_record()


def test_a_record_from_before_contexts_answers_as_it_did():
    written = json.loads((Path(__file__).parent / "record_of_the_links.json").read_text())
    law = GapLaw.from_record(written["record"])
    out, expected = law.predict_improvement(Probe(**written["probe"])), written["answer"]
    assert out.mean.tolist() == expected["mean"]
    # bit by bit on one machine; another's mathematics may round the bisection's last step otherwise
    assert out.quantiles([0.025, 0.1, 0.9, 0.975]) == pytest.approx(np.array(expected["quantiles"]), rel=1e-12)
    assert out.p_positive.tolist() == expected["p_positive"]
    assert out.p_collapse.tolist() == expected["p_collapse"]
    assert [one.code.value for one in out.warnings] == expected["codes"]
    assert out.context_known.tolist() == [None] * 4
    again = law.to_record()
    assert again["version"] == 3
    assert GapLaw.from_record(again).predict_improvement(Probe(**written["probe"])).mean.tolist() == expected["mean"]


def test_an_update_where_contexts_are_known_is_a_full_fit():
    observations = draw(12)
    law = GapLaw(candidate_links=("linear",)).fit(observations.take(np.arange(35)))
    law.update(observations.take(np.array([35])))
    whole = GapLaw(candidate_links=("linear",)).fit(observations)
    assert law.predict_improvement(ask(key(5), "m1")).mean == whole.predict_improvement(ask(key(5), "m1")).mean
    # one context more may be the second of its kind
    different = draw(12, seeds=1, models=1, contexts=8)
    single = GapLaw(candidate_links=("linear",)).fit(different)
    single.update(different.take(np.array([0])))
    assert single.predict_improvement(ask(key(0), "m0")).context_known is Known.CONFIGURATION
    read = GapLaw.from_record(GapLaw(candidate_links=("linear",)).fit(different).to_record())
    with pytest.raises(ValueError, match="full fit"):
        read.update(different.take(np.array([0])))


def test_effects_are_listed():
    observations = draw(13, tau=0.1, contexts=10)
    law = GapLaw().fit(observations)
    found = law.context_effects()
    assert len(found) == 10 * (1 + 2)
    contexts = {one.context: one for one in found if one.model is None}
    assert {one.n for one in contexts.values()} == {6}
    assert {one.n for one in found if one.model is not None} == {3}
    residual = observations.improvement - 1.2 * observations.gap
    of = [np.mean(residual[[context == name for context in observations.context]]) for name in contexts]
    assert np.corrcoef(of, [one.effect.mean for one in contexts.values()])[0, 1] > 0.9
    assert all(one.effect.lower < one.effect.mean < one.effect.upper for one in found)


@pytest.mark.parametrize(("tau", "low", "high"), [(0.0, 0.0, 0.02), (0.08, 0.03, 0.14)])
def test_the_spread_of_contexts_is_found(tau, low, high):
    about = {"family": "f", "cell": "c0", "teacher": "frozen", "divergence": "forward_kl"}
    estimate = GapLaw().fit(draw(14, tau=tau, contexts=24, models=1)).context_sd(**about)
    assert low <= estimate.mean <= high
    assert estimate.lower <= estimate.mean <= estimate.upper
    assert (estimate.lower == 0) == (tau == 0)
    plain = GapLaw().fit(without(draw(14), "context"))
    assert plain.context_sd(**about) == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_a_dilution_that_counts_is_found():
    observations = draw(15, contexts=24, models=1, tau=0.01)
    w = np.maximum(observations.gap_spread - 0.004, 0) / np.maximum(observations.gap, 0.08)
    about = {"family": "f", "cell": "c0", "teacher": "frozen", "divergence": "forward_kl"}
    diluted = Observations(**{**vars(observations), "improvement": np.clip(observations.improvement - 0.2 * w, -1, 1)})
    ratios = {}
    for name, of in (("none", observations), ("some", diluted)):
        law = GapLaw(dilution=True).fit(of)
        ratios[name] = law.carry_over(**about)
    assert ratios["some"].p_any > 0.9 > ratios["none"].p_any
    assert ratios["some"].ratio.lower < -0.2 / 1.2 < ratios["some"].ratio.upper < 0
    assert GapLaw().fit(diluted).carry_over(**about).p_any == 0
    worse = [
        GapLaw(dilution=on).fit(diluted).predict_improvement(ask("another", gap_spread=0.1)) for on in (True, False)
    ]
    assert worse[0].mean < worse[1].mean


def test_p_above_is_the_distribution_of_the_answer(law):
    out = law.predict_improvement(ask([key(1), "another"], "m0"))
    np.testing.assert_allclose(out.p_above(0.0), out.p_positive)
    lower, upper = out.interval(0.9)
    np.testing.assert_allclose(out.p_above(lower), 0.95, atol=1e-6)
    np.testing.assert_allclose(out.p_above(upper), 0.05, atol=1e-6)
    assert (out.p_above(0.61) == 0).all()
    assert (out.p_above(-0.41) == 1).all()
    assert law.predict_improvement(ask(key(1), "m0")).p_above(0.1).shape == ()


def test_runs_far_off_the_line_are_unusual_whatever_their_weight(store):
    observations = store(0, (12, 12), sigma=0.01)
    found = GapLaw(candidate_links=("linear",)).fit(observations).diagnostics_
    far = np.abs(found.standardized) >= 2.8
    np.testing.assert_array_equal(found.unusual, far | found.outlier)
    improvement = observations.improvement.copy()
    improvement[3] += 4 * np.sqrt(1e-4 + observations.improvement_var[3] + 1.44 * observations.gap_var[3])
    moved = Observations(**{**vars(observations), "improvement": improvement})
    assert GapLaw(candidate_links=("linear",)).fit(moved).diagnostics_.unusual[3]


def test_a_family_whose_versions_share_contexts_has_not_drifted():
    observations = draw(16, contexts=8, models=1)
    versions = ["a" if row % 3 else "b" for row in range(len(observations))]
    assert drift_log_bayes_factor(observations, "f", versions) < 0


def test_slopes_by_size_take_contexts_as_scatter():
    """Their errors come from sigma alone; with the effects taken out of it they would be far too sure."""
    observations = draw(17, contexts=10, models=2, tau=0.08)
    sizes = [1e8 if model == "m0" else 1e9 for model in observations.model]
    assert scaling.scaling(observations, sizes) == scaling.scaling(without(observations, "context", "model"), sizes)


def test_coefficients_say_whose_they_are(law):
    about = {"teacher": "frozen", "divergence": "forward_kl"}
    of_cell, of_family = law.coefficients("f", "c0", **about), law.coefficients("f", **about)
    assert (of_cell.family, of_cell.cell) == ("f", "c0")
    assert (of_family.family, of_family.cell) == ("f", None)
    assert of_cell.slope != of_family.slope


def test_collapse_probability_does_not_depend_on_contexts_that_are_odd(law):
    assert law.p_collapse_ == pytest.approx(collapse.probability(36.0, 36), abs=0.03)
