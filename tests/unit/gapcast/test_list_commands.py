"""Lists, ids, names and tags on the command line, alike for every resource."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from gapcast import Client
from gapcast.models import Prediction

pytestmark = pytest.mark.slow

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def pair(server: str) -> tuple[Prediction, Prediction]:
    """Two predictions from gaps that were measured elsewhere, the older one first."""
    with Client(server) as client:

        def created(name: str, gap: float, tag: str) -> Prediction:
            return client.predictions.create(
                model={"name": "lab/addition-qwen3-s"},
                task="lab/addition",
                context={"kind": "hints"},
                gap={"value": gap, "se": 0.02, "student": 0.25},
                name=name,
                tags=[tag, "pair"],
            )

        return created("first of a pair", 0.2, "one"), created("second of a pair", 0.3, "two")


def ids(done: Result) -> list[str]:
    assert done.exit_code == 0, done.output
    return [one["id"] for one in json.loads(done.stdout)["data"]]


class TestPredictions:
    def test_are_listed_with_name_and_tags(self, gapcast: Run, pair: tuple[Prediction, Prediction]) -> None:
        done = gapcast("predictions", "list", "--tag", "pair")
        lines = done.stdout.splitlines()
        assert [line.split()[0] for line in lines[1:]] == [pair[1].id, pair[0].id]
        assert lines[1].rstrip().endswith("second of a pair  #two  #pair")
        assert "+30.0 ± 2.0" in lines[1]

    @pytest.mark.parametrize(
        ("narrowed", "kept"),
        [
            (["--tag", "one"], [0]),
            (["--tag", "one", "--tag", "two"], []),
            (["--name", "second of a pair"], [1]),
            (["--model", "lab/addition-qwen3-s"], [1, 0]),
            (["--task", "lab/cipher"], []),
            (["--pool", "default"], []),
            (["--status", "succeeded"], [1, 0]),
            (["--status", "failed"], []),
            (["--verdict", "skip"], []),
        ],
    )
    def test_are_narrowed(
        self, gapcast: Run, pair: tuple[Prediction, Prediction], narrowed: list[str], kept: list[int]
    ) -> None:
        assert ids(gapcast("predictions", "list", "--tag", "pair", *narrowed, "--json")) == [pair[i].id for i in kept]

    def test_the_next_page_is_named(self, gapcast: Run, pair: tuple[Prediction, Prediction]) -> None:
        done = gapcast("predictions", "list", "--tag", "pair", "--limit", "1")
        assert done.stderr == f"There are more: --after {pair[1].id}\n"
        assert ids(gapcast("predictions", "list", "--tag", "pair", "--after", pair[1].id, "--json")) == [pair[0].id]

    def test_an_id_is_named_by_its_start(self, gapcast: Run, pair: tuple[Prediction, Prediction]) -> None:
        for start in (pair[0].id[:-1], pair[0].id.removeprefix("pred_"), pair[0].id):
            assert json.loads(gapcast("predictions", "show", start, "--json").stdout)["id"] == pair[0].id

    def test_the_start_of_several_is_refused_with_two_of_them(
        self, gapcast: Run, pair: tuple[Prediction, Prediction]
    ) -> None:
        done = gapcast("predictions", "show", pair[0].id[:8])
        assert (done.exit_code, "several predictions begin so" in done.stderr) == (2, True)

    def test_the_start_of_none_is_refused(self, gapcast: Run) -> None:
        done = gapcast("predictions", "show", "pred_fff")
        expected = "pred_fff: expected the start of a prediction's id. `gapcast predictions list` lists them.\n"
        assert (done.exit_code, done.stderr) == (2, expected)

    def test_latest_is_the_newest(self, gapcast: Run, connected: Client, pair: tuple[Prediction, Prediction]) -> None:
        newest = connected.predictions.list(limit=1).data[0].id
        assert json.loads(gapcast("predictions", "show", "latest", "--json").stdout)["id"] == newest

    def test_one_that_has_ended_is_not_cancelled(self, gapcast: Run, pair: tuple[Prediction, Prediction]) -> None:
        done = gapcast("predictions", "cancel", pair[0].id)
        assert (done.exit_code, "has ended already" in done.stderr) == (2, True)

    def test_options_name_and_tag_what_is_created(self, gapcast: Run, tmp_path: Path) -> None:
        file = tmp_path / "config.yaml"
        file.write_text(
            "{model: lab/addition-qwen3-s, task: lab/addition, context: {kind: hints},"
            " gap: {value: 0.1, se: 0.02, student: 0.25}, name: of the file}"
        )
        done = gapcast("predict", file, "--name", "of the option", "--tag", "a", "--tag", "b", "--json")
        answer = json.loads(done.stdout)
        assert (answer["name"], answer["tags"]) == ("of the option", ["a", "b"])
        refused = gapcast("predict", file, "--tag", "Not This")
        assert (refused.exit_code, refused.stderr.startswith("--tag: expected 1 to 64 lower-case")) == (2, True)


def test_other_resources_are_listed_and_shown(gapcast: Run, connected: Client) -> None:
    fit = connected.fits.current(pool="lab").id
    assert fit in ids(gapcast("fits", "list", "--pool", "lab", "--json"))
    shown = gapcast("fits", "show", fit[:-1])
    assert (shown.exit_code, "lab-qwen3" in shown.stdout) == (0, True)
    assert "lab" in [one["name"] for one in json.loads(gapcast("pools", "list", "--json").stdout)["data"]]
    assert gapcast("pools", "show", "lab").stdout.splitlines()[1].startswith("lab ")
    run = connected.observations.list(pool="lab", limit=1).data[0]
    shown = gapcast("observations", "show", run.id)
    assert (shown.exit_code, run.model in shown.stdout) == (0, True)
    assert gapcast("probes", "list", "--status", "failed").exit_code == 0


def test_a_pool_is_set_to_borrow(gapcast: Run, connected: Client, pool: str) -> None:
    assert gapcast("pools", "set", pool, "--borrow", "published").stdout.splitlines()[1].endswith("published")
    assert connected.pools.get(pool).borrow == ["published"]
    assert json.loads(gapcast("pools", "set", pool, "--json").stdout)["borrow"] == []
    refused = gapcast("pools", "set", "lab", "--borrow", "published")
    assert (refused.exit_code, "read-only" in refused.stderr) == (2, True)


def test_a_pool_that_is_not_there_is_answered_with_the_nearest(gapcast: Run) -> None:
    done = gapcast("pools", "show", "lap")
    assert (done.exit_code, "Did you mean 'lab'?" in done.stderr) == (2, True)


class TestErrors:
    def test_for_programs_they_are_problem_objects(self, gapcast: Run) -> None:
        done = gapcast("predictions", "show", "pred_fff", "--json")
        problem = json.loads(done.stdout)
        assert (done.exit_code, problem["status"], problem["code"]) == (2, 404, "not_found")
        away = gapcast("predictions", "list", "--url", "http://127.0.0.1:9", "--json")
        assert (away.exit_code, json.loads(away.stdout)["code"]) == (3, "unreachable")

    def test_a_fault_of_a_file_is_one_too(self, gapcast: Run, tmp_path: Path) -> None:
        file = tmp_path / "config.yaml"
        file.write_text("model: a\nmodel: b\n")
        done = gapcast("predict", file, "--json")
        assert (done.exit_code, json.loads(done.stdout)["code"]) == (2, "invalid_command")

    def test_outside_a_terminal_nothing_is_in_a_box(self, gapcast: Run, pair: tuple[Prediction, Prediction]) -> None:
        shown = gapcast("predictions", "show", pair[0].id).stdout
        assert pair[0].id in shown.splitlines()
        assert not set("╭│╰") & set(shown)
