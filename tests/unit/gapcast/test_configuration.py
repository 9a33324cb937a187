"""A configuration's values and places, as they are read from YAML, JSON and `--set`."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer

from gapcast.cli.configuration import Configuration, Configurations, read_configuration, read_configurations


def read(folder: Path, text: str, *settings: str, name: str = "config.yaml") -> Configuration:
    file = folder / name
    file.write_text(text)
    return read_configuration(file, settings)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-5", 1e-5),
        ("5E3", 5000.0),
        ("1.0e-5", 1e-5),
        (".5", 0.5),
        ("-3.", -3.0),
        ("010", 10),
        ("0x1f", 31),
        ("100_000", 100_000),
        ("1:30", "1:30"),
        ("on", "on"),
        ("no", "no"),
        ("True", True),
        ("false", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("none", "none"),
        ("'2024-01-01'", "2024-01-01"),
        ("!!str 5", "5"),
        ("1.2.3", "1.2.3"),
        ("qwen3:8b", "qwen3:8b"),
        ("[1, 2]", [1, 2]),
    ],
)
def test_values_are_those_that_are_meant(tmp_path: Path, written: str, value: Any) -> None:
    found = read(tmp_path, f"x: {written}")["x"]
    assert (found, type(found)) == (value, type(value))
    assert read(tmp_path, "y: 1", f"x={written}")["x"] == value


def test_anchors_and_merges_are_read_with_the_line_where_the_field_is_written(tmp_path: Path) -> None:
    found = read(tmp_path, "a: &a\n  steps: 1\n  teacher: ema\nrecipe:\n  <<: *a\n  steps: 2\n")
    assert found["recipe"] == {"steps": 2, "teacher": "ema"}
    assert (found.place("recipe.steps"), found.place("recipe.teacher")) == (6, 3)


@pytest.mark.parametrize(
    "body", [{"a": [1, {"b": "\U0001f600 / \\"}], "<<": 1, "d": "2024-01-01", "": None}, {"x": {"y": [[], {}, 1e-5]}}]
)
@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_what_json_says(tmp_path: Path, body: dict[str, Any], indent: int | str | None) -> None:
    body.pop("", None)
    text = json.dumps(body, indent=indent)
    found = read(tmp_path, text, name="config.json")
    assert dict(found) == body
    for name in body:
        assert found.places[name] == text[: text.index(f'"{name}"')].count("\n") + 1


def test_a_place_is_the_nearest_one_that_is_written(tmp_path: Path) -> None:
    text = "# first\nmodel:\n  name: x\nlevels:\n- 0.8\n- 0.9\n"
    found = read(tmp_path, text, "probe.seed=3", "levels.1=0.5", "recipe.steps=2")
    assert dict(found) == {
        "model": {"name": "x"},
        "levels": [0.8, 0.5],
        "probe": {"seed": 3},
        "recipe": {"steps": 2},
    }
    places = {
        "model.name": 3,
        "model.family": 2,
        "levels.0": 5,
        "levels.1": "--set levels.1",
        "probe.seed": "--set probe.seed",
        "probe": "--set probe.seed",
        "task": None,
    }
    assert {param: found.place(param) for param in places} == places


def test_a_setting_wins_over_the_file_and_the_last_over_the_first(tmp_path: Path) -> None:
    text = "recipe: {steps: 1, teacher: ema}\nprobe: null\n"
    found = read(tmp_path, text, "recipe.steps=2", "recipe.steps=3", "probe.seed=1", "context={kind: hints}", "pool=")
    assert found["recipe"] == {"steps": 3, "teacher": "ema"}
    assert (found["probe"], found["context"], found["pool"]) == ({"seed": 1}, {"kind": "hints"}, None)


def test_a_mapping_that_is_set_forgets_the_lines_of_what_it_replaces(tmp_path: Path) -> None:
    found = read(tmp_path, "recipe:\n  steps: 1\n", "recipe={steps: 0}")
    assert found.told("recipe.steps", "expected more.") == "--set recipe: recipe.steps: expected more."


def test_a_field_that_is_set_and_not_sent_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "recipe: {steps: 1}\nlevels: [0.8]\nmin_gain: 0.1\n"
    found = read(tmp_path, text, "recipe={steps: 3, top_k: 5}", "levels.0=0.9", "pool=", "probe={}")
    found.refuse_unsent("gapcast x", {"recipe": {"steps": 3, "top_k": 5}, "levels": [0.9], "probe": {}})
    found.refuse_unsent("gapcast x", {"top_k": 5, "levels": [0.9], "probe": {}}, {"recipe.steps", "recipe.top_k"})
    with pytest.raises(typer.Exit):
        found.refuse_unsent("gapcast x", {"recipe": {"steps": 3}, "probe": {}})
    assert capsys.readouterr().err.splitlines() == [
        "--set recipe: `gapcast x` does not use the field recipe.top_k. Leave it out.",
        "--set levels.0: `gapcast x` does not use the field levels.0. Leave it out.",
    ]


def read_several(folder: Path, *texts: str, settings: tuple[str, ...] = (), ending: str = "yaml") -> Configurations:
    files = [folder / f"{letter}.{ending}" for letter, _ in zip("abc", texts, strict=False)]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    return read_configurations(files, settings)


@pytest.mark.parametrize(
    ("texts", "titles", "lines"),
    [
        (["task: x\n", "task: y\n"], ["a.yaml", "b.yaml"], [1, 1]),
        (["- task: x\n\n- name: its own\n  task: y\n"], ["a.yaml 1", "its own"], [1, 4]),
        (["---\ntask: x\n---\ntask: y\n---\n"], ["a.yaml 1", "a.yaml 2"], [2, 4]),
        (["task: x\n---\n- task: y\n- task: z\n"], ["a.yaml 1", "a.yaml 2", "a.yaml 3"], [1, 3, 4]),
        (["name: '  one  '\ntask: x\n", "- task: y\n"], ["one", "b.yaml"], [2, 1]),
    ],
    ids=["files", "list", "documents", "list in a document", "one in a list"],
)
def test_several_are_read_with_their_lines_and_titles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], titles: list[str], lines: list[int]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = read_several(Path(), *texts)
    assert [one["task"] for one in found] == ["x", "y", "z"][: len(titles)]
    assert [one.title for one in found] == titles
    assert [one.place("task") for one in found] == lines


def test_several_are_read_from_json_and_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found, other) = read_several(tmp_path, json.dumps([{"task": "x"}, {"task": "y"}], indent=1), ending="json")
    assert (found["task"], other["task"], other.place("task")) == ("x", "y", 6)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"task: x\n---\ntask: y\n")))
    assert [one.title for one in read_configurations([Path("-")])] == ["standard input 1", "standard input 2"]


def test_a_setting_holds_for_each_of_several(tmp_path: Path) -> None:
    found = read_several(tmp_path, "task: x\n", "- recipe: {steps: 1}\n- {}\n", settings=("recipe.steps=2",))
    assert [one["recipe"] for one in found] == [{"steps": 2}] * 3
    assert [one.place("recipe.steps") for one in found] == ["--set recipe.steps"] * 3


def test_the_faults_of_several_files_are_told_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(typer.Exit):
        read_several(
            Path(),
            "task: x\n---\nrecipe: {steps: .nan}\n",
            "- task: x\n- 3\n- task: 2024-01-01\n",
            "- task: x\n- 3\n",
            settings=("recipe",),
        )
    assert capsys.readouterr().err.splitlines() == [
        "a.yaml:3: recipe.steps: expected a finite number, got .nan.",
        "b.yaml:3: task: expected a text or a number, got the date 2024-01-01. Put it in quotes.",
        "c.yaml:2: expected a mapping with fields such as model, task and context, got 3. Write `name: value` lines.",
        "--set: expected FIELD=VALUE, got 'recipe'. Write --set recipe=VALUE.",
    ]


def test_a_servers_faults_of_a_list_are_told_by_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = read_several(Path(), "task: x\n", "- task: y\n- pool: p\n  task: z\n", settings=("min_gain=2",))
    faults = [("2.task", "t."), ("2.pool", "p."), ("0.task", "t."), *((f"{one}.min_gain", "m.") for one in range(3))]
    assert found.refusals([*faults, ("body", "b."), ("Idempotency-Key", "k.")]) == [
        "b.",
        "Idempotency-Key: k.",
        "--set min_gain: m.",
        "a.yaml:1: task: t.",
        "b.yaml:2: pool: p.",
        "b.yaml:3: task: t.",
    ]
