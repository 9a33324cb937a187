import io
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from gapcast import GapcastError
from gapcast.cli.observations import as_option, rows_in
from gapcast.cli.printing.observations import print_batch, print_observations
from gapcast.cli.terminal import check_level, check_share, check_width, row_refusals
from gapcast.models import Batch, Observation

OBSERVATION: dict[str, Any] = {
    "id": "obs_00000000000000000000000000000001",
    "pool": "mine",
    "external_id": "run:100:1",
    "family": "qwen3",
    "task": "livecodebench",
    "cell": None,
    "model": "Qwen3-8B",
    "parameters": None,
    "context_kind": "feedback",
    "context": None,
    "recipe": None,
    "version": None,
    "baseline": 0.4,
    "gap": {"value": 0.2, "se": 0.021},
    "improvement": {"value": -0.05, "se": 0.03},
    "cov": 0.0,
    "collapsed": True,
    "prediction_id": None,
    "excluded": True,
    "excluded_reason": "wrong [evaluation]",
    "source": "import",
    "provenance": {},
    "created_at": "2026-01-01T00:00:00Z",
}


def batch(**more: Any) -> Batch:
    usual: dict[str, Any] = {"created": 3, "existing": 0, "ids": [], "pools": ["mine"], "warnings": []}
    return Batch.model_validate(usual | {"variance": {"gap": {"given": 3}, "improvement": {"given": 3}}} | more)


def text_of(one: Batch) -> str:
    out = io.StringIO()
    print_batch(Console(file=out, width=80), one)
    return out.getvalue()


class TestBatch:
    def test_says_what_was_stored_and_what_was_there(self) -> None:
        assert text_of(batch()).startswith("Stored 3 observations.\n")
        assert text_of(batch(created=1, existing=2)).startswith("Stored 1 observation; 2 existed already.\n")

    def test_says_where_the_errors_come_from(self) -> None:
        text = text_of(batch(variance={"gap": {"counts": 2, "given": 1}, "improvement": {"assumed": 3}}))
        assert "Standard errors, gap: 1 given, 2 made from counts\n" in text
        assert "Standard errors, improvement: 3 assumed\n" in text

    def test_prints_every_warning_in_a_line_with_its_rows(self) -> None:
        warned = {"code": "equal_row", "message": "2 row(s) say what another row [of the pool] says. " * 3}
        text = text_of(batch(warnings=[warned | {"rows": [2, 7]}, warned | {"rows": list(range(1, 21))}]))
        assert f"Warning (equal_row): {warned['message']} Rows: 2, 7\n" in text
        assert "19, 20, ...\n" in text

    def test_says_which_pools_are_refitted(self) -> None:
        assert "the law of mine, theirs\n" in text_of(batch(pools=["mine", "theirs"]))
        assert "no law is refitted" in text_of(batch(created=0, existing=3, pools=[]))


def test_an_observation_stands_in_one_line_however_narrow_the_terminal() -> None:
    out = io.StringIO()
    print_observations(Console(file=out, width=40), [Observation.model_validate(OBSERVATION)])
    _, line = out.getvalue().splitlines()
    assert line.split("  ")[0] == OBSERVATION["id"]
    for words in ("+20.0 ± 2.1", "-5.0 ± 3.0", "run:100:1", "collapsed; excluded: wrong [evaluation]"):
        assert words in line


class TestRefusals:
    def test_each_field_is_named_with_its_row(self) -> None:
        errors: list[dict[str, Any]] = [
            {"param": "observations.0.gap.se", "message": "row 1: a value needs its se.", "value": None},
            {"param": "observations.11.baseline", "message": "row 12: too large", "value": "40"},
            {"param": "observations.2.task", "message": "row 3: expected a text, got nothing. Add it.", "value": None},
            {"param": "observations.3", "message": "row 4: send value and se.", "value": None},
        ]
        assert list(row_refusals(GapcastError("x", param="p", errors=errors))) == [
            "row 1, gap.se: a value needs its se.",
            "row 12, baseline: too large (got '40').",
            "row 3, task: expected a text, got nothing. Add it.",
            "row 4: send value and se.",
        ]

    def test_what_is_no_row_is_named_once(self) -> None:
        pool = [{"param": "pool", "message": "should match a pattern", "value": "A"}]
        assert list(row_refusals(GapcastError("x", param="pool", errors=pool))) == ["pool: should match a pattern"]
        said = [{"param": "famly", "message": "column 'famly' is unknown", "value": None}]
        assert list(row_refusals(GapcastError("x", param="famly", errors=said))) == ["column 'famly' is unknown"]

    def test_an_error_without_fields_is_told_as_it_is(self) -> None:
        assert list(row_refusals(GapcastError("the file is empty"))) == ["the file is empty"]

    @pytest.mark.parametrize(
        ("line", "option"),
        [
            ("row 1, gap.se: needed", "--gap-se: needed"),
            ("row 1, gap.value: too large", "--gap: too large"),
            ("row 1, improvement.problems: too few", "--problems: too few"),
            ("row 1, recipe.teacher: unknown", "--teacher: unknown"),
            ("row 1, prediction_id: too long", "--prediction: too long"),
            ("row 1, context_kind: is: odd", "--context-kind: is: odd"),
            ("pool: odd", "--pool: odd"),
            ("the server is tired", "the server is tired"),
        ],
    )
    def test_who_sent_options_reads_options(self, line: str, option: str) -> None:
        assert as_option(line) == option


class TestOptions:
    @pytest.mark.parametrize("check", [check_share, check_width])
    def test_points_are_refused_with_a_hint(self, check: Any) -> None:
        with pytest.raises(typer.BadParameter, match=r"0\.05 is 5 accuracy points"):
            check(5.0)
        assert check(0.05) == 0.05
        assert check(None) is None

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.5])
    def test_what_is_no_share_is_refused(self, value: float) -> None:
        with pytest.raises(typer.BadParameter):
            check_share(value)

    @pytest.mark.parametrize("value", [0.0, -0.1, float("nan")])
    def test_a_width_is_above_0(self, value: float) -> None:
        with pytest.raises(typer.BadParameter):
            check_width(value)

    def test_a_level_is_no_per_cent(self) -> None:
        with pytest.raises(typer.BadParameter, match=r"0\.95 is 95 %"):
            check_level(95)
        assert check_level(0.95) == 0.95


def test_rows_of_a_file_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "runs"
    file.write_text('a,b\n1,"two\nlines"\n3,4\n')
    assert rows_in(file, "csv") == 2
    file.write_text('{"a": 1}\n{"a": 2}\n')
    assert rows_in(file, "ndjson") == 2
    file.write_text('{"observations": [\n{"a": 1},\n{"a": 2}\n]}\n')
    assert rows_in(file, "json") == 2
    file.write_text('{"observations": []}\n')
    assert rows_in(file, "json") == 0
