"""What a notebook shows of an answer."""

import re
import sys
from typing import Any
from xml.etree import ElementTree

import pytest

from gapcast import Client, Prediction, words

Row = dict[str, Any]


@pytest.fixture
def predicted(connected: Client, undecided: str) -> Prediction:
    return connected.predictions.create(
        model={"name": "<b>Qwen3 & co</b>", "family": "qwen3"},
        task="livecodebench",
        context={"kind": "feedback"},
        recipe={"teacher": "ema", "divergence": "reverse_kl"},
        pool=undecided,
        gap={"value": 0.1, "se": 0.02, "student": 0.4},
        levels=[0.5, 0.9],
    )


def cells(html: str) -> list[list[str]]:
    """The table's text; every tag must be closed and every text escaped."""
    table = ElementTree.fromstring(html)
    return [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]


def test_a_prediction_is_a_table_of_its_figures(predicted: Prediction) -> None:
    html = predicted._repr_html_()
    rows = {row[0]: row[1] for row in cells(html)}
    assert predicted.improvement is not None
    assert predicted.improvement.value is not None
    assert rows["Status"] == "succeeded"
    assert rows["Configuration"] == "<b>Qwen3 & co</b>, livecodebench, context feedback"
    assert rows["Gap"] == "+10.0 ± 2.0 points (± 1 SE)"
    assert rows["Improvement"] == f"{100 * predicted.improvement.value:+.1f} points"
    low, high = predicted.improvement.intervals[1].lower, predicted.improvement.intervals[1].upper
    assert rows["90 % interval"] == f"{100 * low:+.1f} to {100 * high:+.1f} points"
    assert predicted.verdict == "pilot"
    assert rows["Verdict"].startswith("Pilot: the whole 80 % interval is above 0 accuracy points")
    assert rows["Improves"].endswith(" probability, if it does not collapse")
    assert rows["Collapses"] == words.collapses(predicted.improvement.p_collapse, predicted.support)
    assert predicted.id in html


def test_one_that_is_not_answered_says_so(connected: Client) -> None:
    waiting = connected.predictions.create(
        model={"name": "lab/addition-qwen3-s"}, task="lab/addition", context={"kind": "hints"}
    )
    assert {row[0]: row[1] for row in cells(waiting._repr_html_())}["Status"] == "queued"


def test_a_curve_is_a_chart_in_points(connected: Client) -> None:
    fit = connected.fits.current("lab")
    curve = connected.fits.curve(fit.id, "lab-qwen3", points=5)
    spec = curve.chart().to_dict()
    rows = spec["data"]["values"] if "data" in spec else next(iter(spec["datasets"].values()))
    assert [row["gap"] for row in rows] == pytest.approx([100 * one for one in curve.gap])
    assert rows[-1]["prediction_upper"] == pytest.approx(100 * curve.prediction_upper[-1])
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["area", "area", "line"]
    assert "accuracy points" in str(spec)


@pytest.mark.parametrize("read", ["current", "get"])
def test_a_fit_is_a_chart_of_its_families(connected: Client, read: str) -> None:
    fit = connected.fits.current("lab")
    shown = fit if read == "current" else connected.fits.get(fit.id)
    bundle = shown._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert any("vega" in name or name == "text/html" for name in data)
    spec = shown.chart().to_dict()
    (row,) = spec["data"]["values"] if "data" in spec else next(iter(spec["datasets"].values()))
    at = fit.families[0].at_common_gap
    assert row["improvement"] == pytest.approx(100 * at.improvement)
    assert (row["lower"], row["upper"]) == pytest.approx(tuple(100 * one for one in at.improvement_interval))
    assert "lab-qwen3" in row["law"]
    assert re.search(r"gap of 15 points", str(spec))


def test_without_altair_a_law_is_a_table(connected: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    fit = connected.fits.current("lab")
    bundle = fit._repr_mimebundle_()
    assert bundle["text/plain"] == repr(fit)
    head, family = cells(bundle["text/html"])
    assert head[0] == "Family"
    assert (family[0], family[2]) == ("lab-qwen3", str(fit.families[0].n))
    curve = connected.fits.curve(fit.id, "lab-qwen3", first=0.0, last=0.4, points=41)
    rows = cells(curve._repr_mimebundle_()["text/html"])
    assert [row[0] for row in rows[1:]] == ["0.0", *(f"{4 * n:+.1f}" for n in range(1, 11))]
    for shown in (fit, curve):
        with pytest.raises(ImportError, match=r"pip install 'gapcast\[notebook\]'"):
            shown.chart()
