import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from gapcast import Client
from gapcast.cli.tasks import refusal_line

Run = Callable[..., Result]
LAB_MODEL = Path(__file__).parents[3] / "workers" / "lab" / "models" / "addition-qwen3-s"


@pytest.fixture
def name(pool: str) -> str:
    return f"mine/{pool}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "sums.jsonl"
    rows = [{"prompt": f"{n:03d}+001=", "answer": f"{n + 1:04d}", "privileged_context": "[carry]"} for n in range(5)]
    made.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return made


class TestTasks:
    def test_a_file_is_added_listed_and_shown(self, gapcast: Run, connected: Client, file: Path, name: str) -> None:
        options = ["--options", '{"ignore_case": true}', "--max-tokens", "16", "--preamble", "Add [them]."]
        added = gapcast("tasks", "add", file, "--name", name, "--verifier", "regex", "--accept", *options)
        assert added.exit_code == 0, added.output
        task = connected.tasks.get(name)
        assert task.verifier_options == {"whole": True, "ignore_case": True}
        for words in (
            task.revision,
            "5 to train and probe on",
            "5 have privileged_context",
            "16 tokens",
            "Add [them].",
        ):
            assert words in added.stdout
        listed = next(line for line in gapcast("tasks", "list").stdout.splitlines() if line.startswith(name))
        assert listed.split()[1:5] == ["upload", "regex", "5", "0"]
        shown = gapcast("tasks", "show", name, "--problems", "2", "--after", "line-1")
        assert added.stdout.splitlines()[:3] == shown.stdout.splitlines()[:3]
        for words in ("2: line-2 (train)", "3: line-3 (train)", "  prompt: 001+001=", "privileged_context: [carry]"):
            assert words in shown.stdout
        assert "line-4" not in shown.stdout
        assert shown.stderr == "There are more: --after line-3\n"

    def test_for_programs_it_is_json(self, gapcast: Run, file: Path, name: str) -> None:
        added = json.loads(
            gapcast("tasks", "add", file, "--name", name, "--verifier", "exact", "--accept", "--json").stdout
        )
        shown = json.loads(gapcast("tasks", "show", name, "--json").stdout)
        assert shown["task"]["id"] == added["id"]
        assert [one["id"] for one in shown["problems"]] == ["line-1", "line-2", "line-3"]
        assert added["id"] in [one["id"] for one in json.loads(gapcast("tasks", "list", "--json").stdout)["data"]]

    def test_mistakes_are_told_by_line_and_field(self, gapcast: Run, file: Path, name: str) -> None:
        file.write_text('{"prompt": "1+1="}\n{"prompt": "1+1=", "answer": "two"}\nnothing\n')
        done = gapcast("tasks", "add", file, "--name", name, "--verifier", "numeric")
        assert (done.exit_code, done.stdout) == (2, "")
        first, second, third, last = done.stderr.splitlines()
        assert first.startswith(f"{file}: line 1, answer: expected a value for the verifier `numeric`, got nothing.")
        assert second.startswith(f"{file}: line 2, answer: expected a number, got 'two'. Write it as 3250,")
        assert third.startswith(f"{file}: line 3: is not JSON")
        assert last == "Nothing was stored."
        assert gapcast("tasks", "show", name).exit_code == 2

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--name", "Not Good"], "--name: expected a name of lower-case letters"),
            (["--name", "lab/mine"], "--name: 'lab/mine' is reserved"),
            (["--max-tokens", "9999999"], "--max-tokens: expected a whole number from 1 to 131072, got 9999999."),
            (
                ["--options", '{"letters": "A"}'],
                "--options: letters: expected a text of 2 to 26 characters, got a text of 1 character.",
            ),
        ],
    )
    def test_what_is_refused_is_named_by_its_option(
        self, gapcast: Run, file: Path, name: str, options: list[str], words: str
    ) -> None:
        done = gapcast("tasks", "add", file, "--name", name, "--verifier", "choice", *options)
        assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, "Nothing was stored.")
        assert done.stderr.startswith(words)

    @pytest.mark.parametrize(("options", "words"), [("[1]", "not a JSON object"), ("{", "is not JSON")])
    def test_options_that_are_no_object_are_refused_before_the_server_is_asked(
        self, gapcast: Run, file: Path, options: str, words: str
    ) -> None:
        given = ["--name", "x", "--verifier", "exact", "--options", options, "--url", "http://127.0.0.1:9"]
        done = gapcast("tasks", "add", file, *given)
        assert (done.exit_code, words in " ".join(done.stderr.replace("│", "").split())) == (2, True)

    def test_what_cannot_be_sent_is_said(self, gapcast: Run, tmp_path: Path, file: Path) -> None:
        given = ["--name", "x", "--verifier", "exact"]
        assert "No such file" in gapcast("tasks", "add", tmp_path / "none.jsonl", *given).stderr
        assert ".parquet" in gapcast("tasks", "add", tmp_path / "x.txt", *given).stderr
        away = gapcast("tasks", "add", file, *given, "--url", "http://127.0.0.1:9")
        assert (away.exit_code, "gapcast serve" in away.stderr) == (3, True)
        assert away.stderr.endswith("Nothing was stored.\n")

    def test_an_empty_file_is_named(self, gapcast: Run, file: Path) -> None:
        file.write_text("")
        done = gapcast("tasks", "add", file, "--name", "x", "--verifier", "exact")
        assert done.stderr == f"{file}: The file does not contain a problem.\nNothing was stored.\n"

    def test_a_bundled_task_is_shown_without_problems(self, gapcast: Run) -> None:
        done = gapcast("tasks", "show", "lab/addition")
        assert (done.exit_code, "hints (at most 4)" in done.stdout) == (0, True)

    def test_a_field_of_a_parquet_row(self) -> None:
        row = {"param": "rows.4.answer", "message": "row 4: expected a number, got 'two'.", "value": "two"}
        assert refusal_line(row, Path("x.parquet")) == "x.parquet: row 4, answer: expected a number, got 'two'."


class TestModels:
    def test_are_listed(self, gapcast: Run) -> None:
        lines = gapcast("models", "list").stdout.splitlines()
        assert lines[1].split()[:4] == ["lab/addition-qwen3-s", "lab-qwen3", "101K", "lab"]
        assert json.loads(gapcast("models", "list", "--json").stdout)["data"][0]["name"] == "lab/addition-qwen3-s"

    def test_one_is_shown_with_its_whole_revision(self, gapcast: Run) -> None:
        rows = dict(
            line.split(maxsplit=1) for line in gapcast("models", "show", "lab/addition-qwen3-s").stdout.splitlines()
        )
        assert (rows["Family"].strip(), rows["Weights"].strip()) == ("lab-qwen3", "101K")
        assert len(rows["Revision"].strip()) == len("sha256:") + 64
        assert (
            json.loads(gapcast("models", "show", "lab/cipher-qwen3-s", "--json").stdout)["family"] == "lab-cipher-qwen3"
        )
        missing = gapcast("models", "show", "lab/additon-qwen3-s")
        assert missing.exit_code == 2
        assert "Did you mean 'lab/addition-qwen3-s'? `gapcast models list`" in missing.stderr

    def test_a_folder_is_inspected_into_an_entry_of_the_settings(self, gapcast: Run) -> None:
        done = gapcast("models", "inspect", LAB_MODEL, "--name", "mine/tiny", "--family", "tiny")
        assert done.exit_code == 0, done.output
        (entry,) = tomllib.loads(done.stdout)["models"]
        assert (entry["name"], entry["family"], entry["path"]) == ("mine/tiny", "tiny", str(LAB_MODEL))
        assert entry["parameters"] == 100992
        assert "start them again" in done.stderr

    def test_a_folder_that_is_none_exits_with_2(self, gapcast: Run, tmp_path: Path) -> None:
        done = gapcast("models", "inspect", tmp_path / "none", "--name", "n", "--family", "f")
        assert (done.exit_code, done.stdout) == (2, "")


class TestContexts:
    def test_kinds_stand_in_a_line_each(self, gapcast: Run) -> None:
        lines = gapcast("contexts").stdout.splitlines()
        assert len(lines) == len(json.loads(gapcast("contexts", "--json").stdout)["data"]) == 10
        assert any(line.split()[0] == "column" and "privileged_context" in line for line in lines)

    def test_a_kind_shows_its_options_and_an_example(self, gapcast: Run) -> None:
        shown = gapcast("contexts", "hints").stdout
        rows = {line.split()[0]: line for line in shown.splitlines() if line}
        assert "number 0 to 1" in rows["corruption.coverage"]
        assert "task | model" in rows["source"]
        assert "integer 1 to 64 or null" in rows["level"]
        example = yaml.safe_load(shown.partition("In a configuration:")[2])
        assert example["context"]["kind"] == "hints"

    @pytest.mark.parametrize("kind", ["none", "static", "placebo", "all", "column", "feedback"])
    def test_every_example_is_one_that_the_server_takes(
        self, gapcast: Run, connected: Client, tmp_path: Path, name_of_task: str, kind: str
    ) -> None:
        example = yaml.safe_load(gapcast("contexts", kind).stdout.partition("In a configuration:")[2])
        body = {"model": {"name": "lab/addition-qwen3-s"}, "task": name_of_task, "probe": {"problems": 4}}
        made = connected.probes.create(body | example).configuration.context
        assert made.model_dump(mode="json") == example["context"]

    def test_an_unknown_kind_is_told_the_others(self, gapcast: Run) -> None:
        done = gapcast("contexts", "hint")
        assert (done.exit_code, done.stdout, "hints, peer_solution" in done.stderr) == (2, "", True)

    @pytest.fixture
    def name_of_task(self, connected: Client, file: Path, name: str) -> str:
        rows = [json.loads(line) | {"hints": ["starts with 0"]} for line in file.read_text().splitlines()]
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return connected.tasks.create(file, name, "exact", accept=True, max_tokens=16).name
