"""Against a real installed distribution: its metadata lies in a folder on the path, as pip would write it."""

import sys
import textwrap
from pathlib import Path

import pytest

from gapcast.contract.problems import PluginVerifier
from workers.failures import JobError
from workers.tasks import Problem, Split, Verdict
from workers.tasks.verifiers import verifier

PROBLEM = Problem(id="p-7", split=Split.train, prompt="?", answer="abc", hints=("a",))

SOURCE = """
def share(completion, problem, options):
    right = sum(a == b for a, b in zip(completion, problem["answer"]))
    return right / len(problem["answer"]) * options.get("scale", 1), f"{right} letters are right."

def raises(completion, problem, options):
    raise LookupError("no judge")

def only_a_score(completion, problem, options):
    return 1.0

def no_number(completion, problem, options):
    return float("nan"), "?"
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "letter_judge.py").write_text(textwrap.dedent(SOURCE))
    metadata = tmp_path / "letter_judge-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: letter-judge\nVersion: 1.0\n")
    names = ["share", "raises", "only_a_score", "no_number", "missing"]
    lines = ["[gapcast.verifiers]", *(f"{name} = letter_judge:{name}" for name in names)]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "letter_judge", raising=False)


def verify(name: str, completion: str = "abd", **options: float) -> Verdict:
    return verifier(PluginVerifier(name=name, options=options))(PROBLEM, completion)


def test_an_entry_point_scores() -> None:
    verdict = verify("share")
    assert (verdict.score, verdict.note) == (2 / 3, "2 letters are right.")
    assert [(case.expected, case.got) for case in verdict.failures] == [("abc", "abd")]
    assert verify("share", "abc").failures == ()


def test_options_reach_it() -> None:
    assert verify("share", scale=0.5).score == 1 / 3


def test_one_that_is_not_installed_is_named_beside_those_that_are() -> None:
    with pytest.raises(JobError) as failure:
        verify("judge")
    assert failure.value.code == "verifier_not_found"
    assert "'judge'" in failure.value.message
    assert "share" in failure.value.message


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("raises", {}, "LookupError: no judge"),
        ("only_a_score", {}, "it returned 1.0"),
        ("no_number", {}, "a score in [0, 1]"),
        ("share", {"scale": 2}, "a score in [0, 1]"),
        ("missing", {}, "cannot be imported"),
    ],
)
def test_a_broken_one_is_named_with_what_it_did(name: str, options: dict[str, float], why: str) -> None:
    with pytest.raises(JobError) as failure:
        verify(name, **options)
    assert failure.value.code == "verifier_failed"
    assert repr(name) in failure.value.message
    assert why in failure.value.message
