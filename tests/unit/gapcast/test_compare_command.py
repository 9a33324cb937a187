"""`gapcast compare`: files and options become one request, and each fault is named where it was written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from gapcast.cli.comparing import Asked, values_of
from gapcast.contract.comparisons import ComparisonRequest

Write = Callable[[str, str], Path]
HINTS = "model: m\ntask: t\ncontext: {kind: hints}\n"
FEEDBACK = "model: m\ntask: t\ncontext: {kind: feedback}\nseeds: [1]\ntraining: {problems: 24, export: none}\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> Path:
        Path(name).write_text(text)
        return Path(name)

    return write


class TestValues:
    @pytest.mark.parametrize(
        ("written", "values"),
        [
            ("context=hints,feedback", [{"kind": "hints"}, {"kind": "feedback"}]),
            (
                "context=hints, {kind: hints, options: {level: 3}}",
                [{"kind": "hints"}, {"kind": "hints", "options": {"level": 3}}],
            ),
            ("context=[{kind: hints}, feedback]", [{"kind": "hints"}, {"kind": "feedback"}]),
            ("context={kind: hints}", [{"kind": "hints"}]),
            (
                "context={short: hints, talk: {kind: feedback}}",
                {"short": {"kind": "hints"}, "talk": {"kind": "feedback"}},
            ),
            ("recipe.teacher=frozen,ema", ["frozen", "ema"]),
            ("recipe.learning_rate=1e-5, 0.0001", [1e-5, 1e-4]),
            ("recipe={slow: {steps: 10}, fast: {steps: 5}}", {"slow": {"steps": 10}, "fast": {"steps": 5}}),
            ("model={name: m, family: f}", [{"name": "m", "family": "f"}]),
            ("recipe.steps=100", [100]),
            ("context=", []),
        ],
    )
    def test_are_yaml(self, written: str, values: Any) -> None:
        field = written.partition("=")[0]
        assert values_of([written]) == {field: values}

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            (["context"], "--vary: expected FIELD=VALUES, got 'context'. Write --vary context=hints,feedback."),
            (["=hints"], "--vary: expected FIELD=VALUES, got '=hints'."),
            (["recipe..steps=1,2"], "--vary: expected FIELD=VALUES"),
            (["context=[hints"], "--vary context: expected , or ]"),
            (["context=hints", "context=feedback"], "--vary context: appears twice."),
        ],
    )
    def test_that_do_not_fit_are_refused(self, written: list[str], said: str, capsys: Any) -> None:
        with pytest.raises(typer.Exit) as ended:
            values_of(written)
        assert ended.value.exit_code == 2
        assert said in capsys.readouterr().err


def read(*paths: Path, vary: list[str] | None = None, pool: str | None = None, **more: Any) -> Asked:
    return Asked.read(paths, more.get("settings"), vary, pool)


class TestFiles:
    def test_several_are_called_by_their_names_else_by_their_files(self, write: Write) -> None:
        asked = read(write("a.yaml", HINTS), write("b.yaml", f"name: talk\n{FEEDBACK}"))
        assert asked.body == {
            "configurations": [
                {"model": "m", "task": "t", "context": {"kind": "hints"}, "name": "a.yaml"},
                {
                    "name": "talk",
                    "model": "m",
                    "task": "t",
                    "context": {"kind": "feedback"},
                    "training": {"problems": 24},
                },
            ]
        }

    def test_one_may_hold_a_list_or_several_documents(self, write: Write) -> None:
        listed = write(
            "list.yaml",
            "- {model: m, task: t, context: {kind: hints}}\n- {model: m, task: t, context: {kind: feedback}}\n",
        )
        documents = write("two.yaml", f"{HINTS}---\n{FEEDBACK}")
        for path in (listed, documents):
            names = [one.name for one in ComparisonRequest.model_validate(read(path).body).asked]
            assert names == ["hints", "feedback"]

    def test_one_may_be_varied(self, write: Write) -> None:
        asked = read(write("a.yaml", FEEDBACK), vary=["recipe.steps=1,2", "context=hints,feedback"], pool="mine")
        assert asked.body == {
            "base": {
                "model": "m",
                "task": "t",
                "context": {"kind": "feedback"},
                "training": {"problems": 24},
                "pool": "mine",
            },
            "vary": {"recipe.steps": [1, 2], "context": [{"kind": "hints"}, {"kind": "feedback"}]},
        }

    def test_one_may_be_the_request_itself(self, write: Write) -> None:
        text = (
            "base: {model: m, task: t, seeds: [1]}\nvary: {context: [{kind: hints}]}\npick: 1\nbudget: {minutes: 9}\n"
        )
        asked = read(write("a.yaml", text), vary=["recipe.steps=1,2"], pool="mine")
        asked.choose({"confidence": 0.9, "indifference": None}, {"rollouts": 5000, "minutes": None})
        assert asked.body == {
            "base": {"model": "m", "task": "t", "pool": "mine"},
            "vary": {"context": [{"kind": "hints"}], "recipe.steps": [1, 2]},
            "pick": 1,
            "confidence": 0.9,
            "budget": {"minutes": 9, "rollouts": 5000},
        }
        listed = read(write("b.yaml", "configurations: [{model: m, seeds: [1]}, 3]\n"), pool="mine")
        assert listed.body == {"configurations": [{"model": "m", "pool": "mine"}, 3]}

    def test_as_many_are_picked_as_are_to_be_trained(self, write: Write) -> None:
        asked = read(write("a.yaml", "base: {model: m}\nvary: {context: []}\npick: 2\n"))
        asked.pick_at_least(1)
        assert asked.body["pick"] == 2
        asked.pick_at_least(3)
        assert asked.body["pick"] == 3
        assert asked.refusals([("pick", "expected less than 3, got 3.")]) == ["--train: expected less than 3, got 3."]

    @pytest.mark.parametrize(
        ("texts", "vary", "settings", "said"),
        [
            ([HINTS], [], [], "0.yaml: expected several configurations, got one. Name another file, or vary a field"),
            ([HINTS, FEEDBACK], ["context=hints,feedback"], [], "--vary: expected one configuration to vary, got 2."),
            ([HINTS, FEEDBACK], [], ["seeds=[1]"], "--set seeds: `gapcast compare` does not use the field seeds."),
            (["base: {}\nvary: {}"], [], ["base.seeds=[1]"], "--set base.seeds: `gapcast compare` does not use"),
        ],
    )
    def test_what_cannot_be_compared_is_refused(
        self, write: Write, texts: list[str], vary: list[str], settings: list[str], said: str, capsys: Any
    ) -> None:
        paths = [write(f"{number}.yaml", text) for number, text in enumerate(texts)]
        with pytest.raises(typer.Exit) as ended:
            read(*paths, vary=vary, settings=settings)
        assert ended.value.exit_code == 2
        assert said in capsys.readouterr().err


class TestRefusals:
    def test_a_field_is_named_by_its_line_or_option(self, write: Write) -> None:
        several = read(write("a.yaml", HINTS), write("b.yaml", FEEDBACK), settings=["recipe.x=1"], pool="?")
        several.choose({"pick": 2}, {"gpu_hours": 1.0})
        faults = [
            ("configurations.1.context.kind", "got 'feedbak'."),
            ("configurations.0.recipe.x", "is not a field of configurations.0.recipe."),
            ("configurations.1.recipe.x", "is not a field of configurations.1.recipe."),
            ("configurations.0.pool", "no such pool."),
            ("pick", "expected less than 2, got 2."),
            ("budget.gpu_hours", "is over."),
            ("configurations", "expected a list."),
        ]
        assert several.refusals(faults) == [
            "b.yaml:3: context.kind: got 'feedbak'.",
            "--set recipe.x: is not a field of recipe.",
            "--pool: no such pool.",
            "--pick: expected less than 2, got 2.",
            "--budget-gpu-hours: is over.",
            "configurations: expected a list.",
        ]

    def test_of_one_that_is_varied_by_its_line_or_the_value(self, write: Write) -> None:
        varied = read(write("a.yaml", HINTS), vary=["recipe.steps=1,x"])
        faults = [
            ("base.context.kind", "got 'x'."),
            ("vary.recipe.steps.1", "got 'x'."),
            ("vary.recipe.steps", "empty."),
        ]
        assert varied.refusals([*faults, ("vary", "expected from 2")]) == [
            "a.yaml:3: context.kind: got 'x'.",
            "--vary recipe.steps: 1: got 'x'.",
            "--vary recipe.steps: empty.",
            "vary: expected from 2",
        ]

    def test_of_the_request_itself_by_its_line(self, write: Write) -> None:
        whole = read(write("a.yaml", "base:\n  model: m\nvary:\n  context: [x]\n"), pool="?")
        faults = [("base.model", "no such model."), ("vary.context.0", "got 'x'."), ("base.pool", "no such pool.")]
        assert whole.refusals(faults) == [
            "a.yaml:2: base.model: no such model.",
            "a.yaml:4: vary.context.0: got 'x'.",
            "--pool: no such pool.",
        ]
