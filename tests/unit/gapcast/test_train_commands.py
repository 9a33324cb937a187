import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import Result

from gapcast import Client, TrainingRun
from gapcast.cli.train import command, request_of, seeds_of, share_of
from tests.support.product import environment, eventually

NO_WORKER = "no worker for training runs has been seen: start one with `gapcast worker`"
pytestmark = pytest.mark.slow

Run = Callable[..., Result]


@pytest.fixture
def configuration(tmp_path: Path, pool: str) -> Path:
    """The file of every command, of a run that nobody has asked for."""
    file = tmp_path / "config.yaml"
    file.write_text(
        "model: {name: lab/addition-qwen3-s}\ntask: lab/addition\ncontext: {kind: hints}\n"
        "recipe: {steps: 4}\nprobe: {problems: 16, rollouts: 2, seed: 5, target_half_width: 0.2}\n"
        f"pool: {pool}\nlevels: [0.9]\nmin_gain: 0.1\nseeds: [3]\ntraining: {{problems: 24, export: none}}\n"
    )
    return file


def asked_for(client: Client, pool: str) -> list[TrainingRun]:
    return [one for one in client.training_runs.list().data if one.pool == pool][::-1]


def a_little_later(act: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


@pytest.fixture
def group(connected: Client, configuration: Path, gapcast: Run) -> list[TrainingRun]:
    done = gapcast("train", configuration, "--seeds", "0,1", "--detach", "--json")
    return [TrainingRun.model_validate(one) for one in json.loads(done.stdout)["data"]]


class TestRequest:
    def test_what_only_a_prediction_asks_is_left_out(self) -> None:
        size = {"problems": 8, "rollouts": 2, "engine": "vllm", "seed": 1, "controls": [], "target_half_width": 0.1}
        body = {"task": "t", "probe": size, "levels": [0.8], "min_gain": 0, "gap": {"value": 0.1}, "seeds": [1]}
        assert request_of(body) == {
            "task": "t",
            "probe": {"rollouts": 2, "engine": "vllm"},
            "seeds": [1],
        }
        assert request_of({"probe": None}) == {}

    def test_seeds_are_whole_numbers(self) -> None:
        assert seeds_of("0,1, 22") == [0, 1, 22]
        for wrong in ("", "1,", "a", "1.5"):
            with pytest.raises(typer.BadParameter, match=r"0,1,2"):
                seeds_of(wrong)

    def test_a_share_is_a_number_or_per_cent(self) -> None:
        assert [share_of(text) for text in ("20%", "20 %", "0.2")] == [0.2, 0.2, 0.2]
        for wrong in ("", "20", "0", "100%", "a", "-5%", "nan"):
            with pytest.raises(typer.BadParameter, match=r"20% or 0\.2"):
                share_of(wrong)

    def test_a_command_names_the_server_where_it_is_not_the_usual_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GAPCAST_URL", "http://a")
        assert command("runs", "pause", "run_1", "http://a") == "gapcast runs pause run_1"
        assert command("runs", "pause", "run_1", "http://b") == "gapcast runs pause run_1 --url http://b"


class TestTrain:
    def test_a_pilot_is_asked_for_beside_what_the_file_says(
        self, gapcast: Run, connected: Client, configuration: Path, pool: str
    ) -> None:
        done = gapcast("train", configuration, "--pilot", "50%", "--detach")
        assert done.exit_code == 0, done.output
        (run,) = asked_for(connected, pool)
        options = run.configuration.options
        assert (options.pilot, options.export, run.configuration.problems) == (0.5, "none", 24)
        connected.training_runs.cancel(run.id)
        done = gapcast("train", configuration, "--pilot", "99%", "--seeds", "9")
        assert done.exit_code == 2
        assert "--pilot" in done.stderr
        assert "ends before the last of 4 steps" in done.stderr

    def test_detached_it_is_queued_and_told_how_to_follow(
        self, gapcast: Run, connected: Client, configuration: Path, pool: str
    ) -> None:
        done = gapcast("train", configuration, "--detach")
        assert done.exit_code == 0, done.output
        (run,) = asked_for(connected, pool)
        assert done.stdout == f"{run.id}  seed 3, queued\n"
        assert done.stderr == f"To follow: gapcast runs follow {run.id}\n"
        assert (run.configuration.problems, run.configuration.options.export) == (24, "none")

    def test_the_same_file_is_predicted_and_sized(self, gapcast: Run, configuration: Path) -> None:
        text = configuration.read_text().replace("probe: ", "gap: {value: 0.1, se: 0.02, student: 0.3}\nx: ")
        configuration.write_text("\n".join(line for line in text.splitlines() if not line.startswith(("x", "pool"))))
        for done in (
            gapcast("predict", configuration, "--json"),
            gapcast("size", configuration, "--half-width", "0.2"),
        ):
            assert done.exit_code == 0, done.output

    def test_seeds_are_a_group_for_every_command(
        self, gapcast: Run, connected: Client, configuration: Path, pool: str
    ) -> None:
        done = gapcast("train", configuration, "--seeds", "0,1,2", "--detach")
        runs = asked_for(connected, pool)
        assert [one.seed for one in runs] == [0, 1, 2]
        assert done.stderr == f"To follow: gapcast runs follow {runs[0].group_id}\n"

    def test_followed_to_the_end_one_that_is_cancelled_exits_with_1(
        self, gapcast: Run, connected: Client, configuration: Path, pool: str
    ) -> None:
        def end() -> None:
            eventually(lambda: len(asked_for(connected, pool)) == 2)
            for one in asked_for(connected, pool):
                connected.training_runs.pause(one.id)
                connected.training_runs.resume(one.id)
                connected.training_runs.cancel(one.id)

        other = a_little_later(end)
        done = gapcast("train", configuration, "--seeds", "8,9", "--json")
        other.join()
        assert done.exit_code == 1, done.output
        ended = json.loads(done.stdout)["data"]
        assert [(one["seed"], one["status"]) for one in ended] == [
            (8, "cancelled"),
            (9, "cancelled"),
        ]
        for seed in (8, 9):
            lines = [line for line in done.stderr.splitlines() if f"seed {seed}" in line]
            assert lines[0] == f"  seed {seed}  {NO_WORKER}"
            assert [line.split("  ")[2].split(";")[0] for line in lines[-3:]] == [
                "paused",
                "waiting for a worker",
                "cancelling",
            ]

    def test_ctrl_c_leaves_the_run_alone(self, server: str, connected: Client, configuration: Path, pool: str) -> None:
        # whoever runs the tests may have us ignore the signal
        heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        script = f"{heard}; from gapcast.cli.main import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", script, "train", str(configuration)],
            env=environment({"GAPCAST_URL": server, "PYTHONUNBUFFERED": "1"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == f"  {NO_WORKER}\n"
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
        (run,) = asked_for(connected, pool)
        assert (process.returncode, run.status) == (130, "queued")
        assert said.strip().splitlines() == [
            f"No longer following {run.id}, which goes on.",
            *(f"  gapcast runs {action} {run.id}" for action in ("follow", "pause", "cancel")),
        ]

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ("task: no/such", "task: expected a listed task, got 'no/such'"),
            ("training: {export: last}", "config.yaml:10: training.export: expected none, final or best, got 'last'."),
            ("seeds: [1, 1]", "seeds.1: "),
            ("typo: 1", "typo: "),
        ],
    )
    def test_what_does_not_fit_is_said_in_one_line(
        self, gapcast: Run, configuration: Path, wrong: str, words: str
    ) -> None:
        kept = [line for line in configuration.read_text().splitlines() if line.split(":")[0] != wrong.split(":")[0]]
        configuration.write_text("\n".join([*kept, wrong]))
        done = gapcast("train", configuration)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert words in done.stderr

    def test_the_same_seed_twice_is_refused(
        self, gapcast: Run, connected: Client, configuration: Path, pool: str
    ) -> None:
        gapcast("train", configuration, "--detach")
        done = gapcast("train", configuration, "--seeds", "2,3", "--detach")
        assert (done.exit_code, done.stdout) == (2, "")
        (first,) = asked_for(connected, pool)
        assert first.id in done.stderr
        assert "another seed" in done.stderr

    def test_a_prediction_is_enough(self, gapcast: Run, connected: Client, configuration: Path, pool: str) -> None:
        gap = {"value": 0.14, "se": 0.02, "student": 0.3}
        asked = {"model": {"name": "lab/addition-qwen3-s"}, "task": "lab/addition", "context": {"kind": "hints"}}
        prediction = connected.predictions.create(asked | {"gap": gap, "pool": "lab", "recipe": {"steps": 4}})
        assert prediction.improvement is not None
        done = gapcast("train", "--prediction", prediction.id, "--seeds", "5", "--detach", "--json")
        assert done.exit_code == 0, done.output
        run = TrainingRun.model_validate(json.loads(done.stdout))
        assert (run.prediction_id, run.seed, run.pool) == (prediction.id, 5, "default")
        assert run.predicted is not None
        assert run.predicted.value == prediction.improvement.value
        assert [one.covered for one in run.predicted.intervals] == [None, None]
        listed = gapcast("runs", "list", "--prediction", prediction.id).stdout
        assert run.id in listed
        both = gapcast("train", configuration, "--prediction", prediction.id)
        assert both.exit_code == 2
        assert "comes from the prediction" in both.stderr
        connected.training_runs.cancel(run.id)

    def test_what_was_measured_elsewhere_is_not_said_to_be_trained_here(self, gapcast: Run, tmp_path: Path) -> None:
        file = tmp_path / "elsewhere.json"
        asked = {"model": {"name": "m", "family": "lab-qwen3"}, "task": "t", "context": {"kind": "hints"}}
        file.write_text(json.dumps(asked | {"gap": {"value": 0.3, "se": 0.02, "student": 0.3}, "pool": "lab"}))
        done = gapcast("predict", file)
        assert "PILOT:" in done.stdout
        assert "gapcast train" not in done.stdout

    def test_something_must_be_named(self, gapcast: Run) -> None:
        done = gapcast("train")
        assert (done.exit_code, "--prediction" in done.stderr) == (2, True)

    def test_seeds_are_checked_before_the_server_is_asked(self, gapcast: Run, configuration: Path) -> None:
        done = gapcast("train", configuration, "--seeds", "0;1", "--url", "http://127.0.0.1:9")
        assert (done.exit_code, "such as 0,1,2" in " ".join(done.stderr.replace("│", "").split())) == (2, True)

    def test_without_a_server_it_says_so(self, gapcast: Run, configuration: Path) -> None:
        done = gapcast("train", configuration, "--url", "http://127.0.0.1:9")
        assert (done.exit_code, "Is `gapcast serve` running there?" in done.stderr) == (3, True)


class TestRuns:
    def test_a_group_is_paused_resumed_and_cancelled(self, gapcast: Run, group: list[TrainingRun]) -> None:
        name = group[0].group_id
        ids = [one.id for one in group]
        for action, status in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
            done = gapcast("runs", action, name)
            assert done.exit_code == 0, done.output
            told = [f"{one} (seed {seed}): {status}" for seed, one in enumerate(ids)]
            assert done.stdout.splitlines() == told
        again = gapcast("runs", "cancel", name)
        assert (again.exit_code, again.stdout) == (2, "")
        assert again.stderr == f"{name} has no run that is paused or queued or running.\n"

    def test_those_of_a_group_that_can_be_paused_are(self, gapcast: Run, group: list[TrainingRun]) -> None:
        first, second = group
        gapcast("runs", "cancel", first.id)
        done = gapcast("runs", "pause", first.group_id, "--json")
        assert (done.exit_code, json.loads(done.stdout)["id"]) == (0, second.id)

    def test_one_that_is_refused_does_not_keep_the_others(self, gapcast: Run, group: list[TrainingRun]) -> None:
        first, second = group
        gapcast("runs", "pause", first.id)
        done = gapcast("runs", "pause", first.id, "run_nosuch", second.id)
        assert (done.exit_code, done.stdout) == (2, f"{second.id} (seed 1): paused\n")
        already, unknown = done.stderr.splitlines()
        assert "paused already" in already
        assert "run_nosuch" in unknown

    def test_runs_are_listed_and_shown(self, gapcast: Run, group: list[TrainingRun]) -> None:
        name = str(group[0].group_id)
        listed = gapcast("runs", "list", "--group", name, "--limit", "1")
        assert group[1].id in listed.stdout
        assert listed.stderr == f"There are more: --after {group[1].id}\n"
        rest = gapcast("runs", "list", "--group", name, "--after", group[1].id, "--json")
        assert [one["id"] for one in json.loads(rest.stdout)["data"]] == [group[0].id]
        assert "No runs were found." in gapcast("runs", "list", "--group", "rgrp_nosuch").stdout
        shown = gapcast("runs", "show", name).stdout
        for words in (group[0].id, group[1].id, f"one of {name}", "Status  queued", "4 steps"):
            assert words in shown
        assert json.loads(gapcast("runs", "show", group[0].id, "--json").stdout)["seed"] == 0

    def test_an_unknown_status_is_refused_with_those_that_there_are(self, gapcast: Run) -> None:
        done = gapcast("runs", "list", "--status", "stopped")
        first = done.stderr.splitlines()[0]
        assert (done.exit_code, done.stdout) == (2, "")
        assert first.startswith("--status: expected queued, running, paused, ")
        assert ", got 'stopped'." in first

    def test_a_group_is_followed(self, gapcast: Run, connected: Client, group: list[TrainingRun]) -> None:
        first, second = group
        connected.training_runs.cancel(first.id)
        other = a_little_later(lambda: connected.training_runs.cancel(second.id))
        done = gapcast("runs", "follow", first.group_id)
        other.join()
        assert done.exit_code == 1, done.output
        assert done.stdout.count("Status  cancelled") == 2

    def test_no_checkpoint_is_said(self, gapcast: Run, group: list[TrainingRun]) -> None:
        assert gapcast("runs", "checkpoints", group[0].id).stdout == "No checkpoints were found.\n"
        assert json.loads(gapcast("runs", "checkpoints", group[0].id, "--json").stdout)["data"] == []

    @pytest.mark.parametrize("action", ["show", "follow", "pause", "resume", "cancel", "checkpoints"])
    @pytest.mark.parametrize("name", ["run_nosuch", "rgrp_nosuch"])
    def test_what_is_unknown_is_refused(self, gapcast: Run, action: str, name: str) -> None:
        done = gapcast("runs", action, name)
        assert (done.exit_code, done.stdout, name in done.stderr) == (2, "", True)
        assert "Traceback" not in done.output
