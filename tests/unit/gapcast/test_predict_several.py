"""`gapcast predict` with several configurations: one table, one list, one exit code."""

import io
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import Result

from gapcast import Client
from gapcast.cli.following import watch_all
from gapcast.cli.printing.batch import interval, print_batch
from gapcast.contract.base import Failure
from gapcast.contract.events import Ended, EventData, JobStarted, PredictionCreated, ProbeProgress
from gapcast.contract.predictions import Improvement, Interval, Quantiles
from gapcast.models import Event, Prediction

Run = Callable[..., Result]
Row = dict[str, Any]
Ask = Callable[..., Row]


@pytest.fixture
def ask(connected: Client, pool: str, row: Row) -> Ask:
    """Make a configuration whose gap was measured elsewhere, so that a server answers without a worker."""
    rows = [
        row | {"gap": {"value": gap, "se": 0.02}, "improvement": {"value": 0.9 * gap, "se": 0.02}}
        for gap in (0.05, 0.15, 0.25, 0.35)
    ]
    connected.observations.create(rows, pool)
    model = {"name": "Qwen3-8B", "family": "qwen3"}
    asked = {"model": model, "task": "livecodebench", "pool": pool, "context": {"kind": "feedback"}}
    return lambda gap, **more: asked | {"gap": {"value": gap, "se": 0.02, "student": 0.4}} | more


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask) -> list[str]:
    """Three files with four configurations; the second of the list is the best, the first file the worst."""
    monkeypatch.chdir(tmp_path)
    for name, content in (
        ("low.json", ask(0.05)),
        ("two.json", [ask(0.15, name="its own"), ask(0.35)]),
        ("middle.json", ask(0.25, context={"kind": "reference_solution"})),
    ):
        (tmp_path / name).write_text(json.dumps(content))
    return ["low.json", "two.json", "middle.json"]


@pytest.mark.slow
class TestCommand:
    def test_prints_one_table_the_best_first(self, gapcast: Run, files: list[str]) -> None:
        done = gapcast("predict", *files, "--tag", "several")
        assert done.exit_code == 0, done.output
        head, *rows = done.stdout.splitlines()
        assert head.split("  ")[0] == "Configuration"
        assert [row[: head.index("Model")].strip() for row in rows[:4]] == [
            "two.json 2",
            "middle.json",
            "its own",
            "low.json",
        ]
        assert ["reference solution" in row for row in rows[:4]] == [False, True, False, False]
        for name in ("80 % interval", "95 % interval", "P(> 0)", "Verdict"):
            assert name in head
        assert rows[4] == "Gaps and improvements in accuracy points, on the training problems."
        listed = gapcast("predictions", "list", "--tag", "several", "--json")
        ids = {row.split()[-1] for row in rows[:4]}
        assert ids <= {one["id"] for one in json.loads(listed.stdout)["data"]}

    def test_prints_a_list_in_the_order_of_the_files(self, gapcast: Run, files: list[str]) -> None:
        done = gapcast("predict", *files, "--set", "min_gain=0.1", "--json")
        page = json.loads(done.stdout)
        assert (done.exit_code, page["object"], page["has_more"]) == (0, "list", False)
        assert [one["gap"]["value"] for one in page["data"]] == [0.05, 0.15, 0.35, 0.25]
        assert {one["request"]["min_gain"] for one in page["data"]} == {0.1}

    def test_one_in_a_list_is_printed_as_one(self, gapcast: Run, files: list[str], ask: Ask) -> None:
        Path("one.json").write_text(json.dumps([ask(0.05)]))
        alone, listed = (gapcast("predict", name, "--json") for name in ("low.json", "one.json"))
        for field in ("object", "request", "improvement", "verdict"):
            assert json.loads(alone.stdout)[field] == json.loads(listed.stdout)[field]

    def test_a_refusal_posts_nothing(self, gapcast: Run, connected: Client, files: list[str], ask: Ask) -> None:
        Path("bad.json").write_text(json.dumps([ask(0.1), ask(0.1, pool="nowhere")], indent=1))
        newest = connected.predictions.list(limit=1).data
        done = gapcast("predict", *files, "bad.json", "--json")
        problem = json.loads(done.stdout)
        assert (done.exit_code, problem["code"], problem["param"]) == (2, "unknown_pool", "5.pool")
        assert done.stderr.startswith("bad.json:24: pool: expected a pool that something is stored in")
        assert connected.predictions.list(limit=1).data == newest

    def test_ctrl_c_leaves_them_alone(
        self, gapcast: Run, connected: Client, pool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = {"model": "lab/addition-qwen3-s", "task": "lab/addition", "context": {"kind": "hints"}, "tags": [pool]}
        file = tmp_path / "two.json"
        file.write_text(json.dumps([asked, asked]))

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("gapcast.cli.following.watch_all", interrupt)  # no worker runs, so it would wait for ever
        done = gapcast("predict", file)
        assert done.exit_code == 130
        assert done.stderr.splitlines()[1:] == [
            "No longer following 2 predictions, which go on.",
            "  gapcast predictions list",
        ]
        going = list(connected.predictions.list(tag=pool))
        assert [one.status for one in going] == ["queued"] * 2
        connected.predictions.cancel(going[0].id)
        assert connected.predictions.cancel(going[1].id).status == "cancelled"

    def test_more_than_a_list_holds_are_refused(self, gapcast: Run, files: list[str]) -> None:
        done = gapcast("predict", *["low.json"] * 51)
        assert (done.exit_code, "expected at most 50 configurations, got 51" in done.stderr) == (2, True)


@pytest.mark.slow
class TestClient:
    def test_gives_the_answers_in_the_order_of_the_requests(self, connected: Client, ask: Ask) -> None:
        page = connected.predictions.create_many([ask(0.3), ask(0.1)], min_gain=0.05, idempotency_key=ask(0)["pool"])
        assert [one.gap.value for one in page.data if one.gap is not None] == [0.3, 0.1]
        assert {one.request.min_gain for one in page} == {0.05}
        assert list(page.to_dataframe()["id"]) == [one.id for one in page.data]
        key = ask(0)["pool"]
        assert connected.predictions.create_many([ask(0.3), ask(0.1)], min_gain=0.05, idempotency_key=key).data == (
            page.data
        )

    def test_follows_several_to_the_end_of_the_last(self, connected: Client, ask: Ask) -> None:
        ids = [one.id for one in connected.predictions.create_many([ask(0.3), ask(0.1)]).data]
        seen = [(one, event.type) for one, event in connected.predictions.follow(ids)]
        for one in ids:
            assert [kind for of, kind in seen if of == one] == ["prediction.created", "prediction.succeeded"]


@pytest.fixture
def answered(connected: Client, ask: Ask) -> list[Prediction]:
    return connected.predictions.create_many([ask(0.1), ask(0.3)]).data


def printed(predictions: list[Prediction], titles: list[str], width: int | None = None) -> list[str]:
    """The lines of the table, in a pipe or in a terminal of this width."""
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=width is not None, color_system=None)
    print_batch(console, predictions, titles)
    return text.getvalue().splitlines()


@pytest.mark.slow
class TestTable:
    def test_shows_the_wide_interval_where_it_fits(self, answered: list[Prediction]) -> None:
        widest = len(printed(answered, ["a", "b"])[0])
        heads = [printed(answered, ["a", "b"], width)[0] for width in (widest, widest - 1)]
        assert ["95 % interval" in head for head in heads] == [True, False]
        assert all("80 % interval" in head for head in heads)

    def test_names_the_task_where_there_are_several(self, answered: list[Prediction]) -> None:
        first, second = answered
        other = second.model_copy(update={"request": second.request.model_copy(update={"task": "another"})})
        assert "Task" not in printed(answered, ["a", "b"])[0]
        head, best, last, *_ = printed([first, other], ["a", "b"])
        assert ("Task" in head, "another" in best, "livecodebench" in last) == (True, True, True)

    def test_what_has_no_answer_is_last_and_says_why(self, answered: list[Prediction]) -> None:
        first, second = answered
        gone = {"gap": None, "improvement": None, "law": None, "verdict": None, "status": "failed", "warnings": []}
        error = Failure(code="x", message="The [model] is gone.", category="server")
        failed = first.model_copy(update=gone | {"error": error})
        rows = printed([failed, second], ["[a]", "b"])
        assert [row.split()[0] for row in rows[1:3]] == ["b", "[a]"]
        assert rows[2].split()[-2:] == ["failed", failed.id]
        assert "failed [a]: The [model] is gone." in rows


def test_an_interval_that_was_not_asked_for_is_read_from_the_quantiles() -> None:
    quantiles = Quantiles(probabilities=[0.1, 0.5, 0.9], values=[-0.1, 0.0, 0.1])
    asked = Interval(level=0.95, lower=-0.3, upper=0.3)
    shown = {"value": 0.0, "measurement_se": 0.02, "p_positive": 0.5, "p_collapse": 0.0}
    found = Improvement(intervals=[asked], quantiles=quantiles, **shown)
    assert interval(found, 0.95) == asked
    assert interval(found, 0.8) == Interval(level=0.8, lower=-0.1, upper=0.1)
    assert interval(found, 0.5) is None
    assert interval(Improvement(intervals=[], **shown), 0.8) is None


def happening(*happened: tuple[str, EventData, str]) -> Iterator[tuple[str, Event]]:
    for number, (of, data, kind) in zip(itertools.count(1), happened, strict=False):
        at = "2026-11-25T10:00:00Z"
        yield of, Event(id=str(number), type=kind or data.type, data=data.written(), created_at=at)


def sampled(done: int) -> ProbeProgress:
    return ProbeProgress(done=done, total=400, unit="rollouts", problems=0, gap=None)


def test_several_are_followed_by_their_titles() -> None:
    text = io.StringIO()
    happened = happening(
        ("pred_1", PredictionCreated(probe_id=None), ""),
        ("pred_1", JobStarted.model_validate({"attempt": 1, "worker": "w"}), ""),
        *(("pred_1", sampled(done), "") for done in range(0, 401, 50)),
        ("pred_1", Ended(), "prediction.succeeded"),
        ("pred_2", Ended(), "prediction.cancelled"),
    )
    watch_all(happened, {"pred_1": "a [b]", "pred_2": "c.yaml"}, Console(file=text, width=60))
    assert text.getvalue().splitlines() == [
        "  a [b]: waiting for a worker",
        "  c.yaml: waiting for a worker",
        "  a [b]: loading the model",
        *(f"  a [b]: sampling rollouts: {done} of 400 rollouts" for done in (0, 100, 200, 300, 400)),
        "  a [b]: succeeded",
        "  c.yaml: cancelled",
    ]


def test_in_a_terminal_those_that_wait_are_counted_and_not_listed() -> None:
    text = io.StringIO()
    happened = happening(("pred_1", sampled(100), ""), ("pred_2", Ended(), "prediction.succeeded"))
    console = Console(file=text, force_terminal=True, width=100, color_system=None, legacy_windows=False)
    watch_all(happened, {"pred_1": "one", "pred_2": "two"}, console)
    assert "2 predictions" in text.getvalue()
    assert "one: sampling rollouts" in text.getvalue()
    assert "two: " not in text.getvalue()
