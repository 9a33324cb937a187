"""`gapcast track` and `gapcast external`, against a server without a worker: runs that are read off files."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gapcast import Client, NotFound

Run = Callable[..., Result]

CONFIG = {
    "model": "lab/addition-qwen3-s",
    "task": "lab/addition",
    "context": {"kind": "hints", "options": {"level": 3}},
    "recipe": {"steps": 150, "learning_rate": 5e-4},
    "training": {"problems": 128, "evaluation_problems": 128, "evaluate_every": 15},
    "gap": {"value": 0.3, "se": 0.03, "student": 0.25},
    "min_gain": 0.05,
    "levels": [0.8, 0.95],
    "seeds": [0],
}
HALF = "step,accuracy,loss\n0,0.25,2.1\n15,0.36,1.9\n16,,1.8\n30,0.42,1.5\n45,0.45,1.2\n"
HOPELESS = "step,accuracy\n0,0.25\n" + "".join(f"{step},0.2\n" for step in range(15, 106, 15))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps(CONFIG))
    return file


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    file = tmp_path / "metrics.csv"
    file.write_text(HALF)
    return file


def name() -> str:
    return f"run-{uuid.uuid4().hex[:12]}"


class TestOfAFile:
    def test_a_half_finished_run_is_forecast_by_one_command(
        self, gapcast: Run, connected: Client, config: Path, metrics: Path
    ) -> None:
        done = gapcast("track", metrics, "--config", config, "--rollouts", "4")
        assert done.exit_code == 0, done.output
        lines = done.stdout.splitlines()
        assert [line.split(":")[0] for line in lines[:3]] == [f"step {step} of 150" for step in (15, 30, 45)]
        assert all("now expected, 80 % +" in line for line in lines)
        run_id = lines[-1].split(":")[0]
        run = connected.external_runs.get(run_id)
        assert (run.request.baseline.accuracy, len(run.looks)) == (0.25, 3)
        assert (run.request.evaluation.problems, run.request.evaluation.rollouts) == (128, 4)
        assert run.forecast is not None
        assert (run.forecast.min_gain, run.forecast.curves.cold) == (0.05, False)
        assert lines[2].removeprefix("step 45 of 150: ") == lines[-1].removeprefix(f"{run_id}: ")

    def test_the_same_command_goes_on(self, gapcast: Run, config: Path, metrics: Path) -> None:
        first = json.loads(gapcast("track", metrics, "--config", config, "--rollouts", "4", "--json").stdout)
        metrics.write_text(HALF + "60,0.5,1.1\n")
        again = json.loads(gapcast("track", metrics, "--config", config, "--rollouts", "4", "--json").stdout)
        assert again["id"] == first["id"]
        assert [look["step"] for look in again["looks"]] == [15, 30, 45, 60]

    def test_columns_are_named_and_per_cent_understood(
        self, gapcast: Run, connected: Client, config: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "other.tsv"
        file.write_text("it\tmath@4\terr\n0\t25\t2\n15\t36\t2\n")
        options = ("--map", "step=it", "--map", "accuracy=math@4", "--map", "se=err")
        done = gapcast("track", file, "--config", config, *options, "--percent", "--json")
        assert done.exit_code == 0, done.output
        run = json.loads(done.stdout)
        assert run["looks"] == [{"step": 15, "value": 0.36, "se": 0.02, "problems": None, "fingerprint": None}]
        assert run["request"]["baseline"] == {"accuracy": 0.25, "se": 0.02}

    def test_a_prediction_stands_for_a_configuration(
        self, gapcast: Run, connected: Client, config: Path, metrics: Path
    ) -> None:
        fields = {name: value for name, value in CONFIG.items() if name not in {"seeds", "training"}}
        made = connected.predictions.create(fields)
        done = gapcast("track", metrics, "--prediction", made.id, "--problems", "128", "--rollouts", "4", "--json")
        run = json.loads(done.stdout)
        assert run["forecast"]["before"]["prediction_id"] == made.id
        assert run["forecast"]["min_gain"] == 0.05

    def test_logs_of_verl_and_prime_rl_are_read(self, gapcast: Run, config: Path, tmp_path: Path) -> None:
        prime = tmp_path / "metrics.jsonl"
        lines: list[dict[str, Any]] = [
            {"step": 0, "time": 1.0, "eval/math/avg@8": 0.25, "eval/math/pass@1": 0.25},
            {"step": 1, "time": 2.0, "loss/mean": 0.3},
            {"step": 15, "time": 3.0, "eval/math/avg@8": 0.36},
        ]
        prime.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 16, "time":')
        verl = tmp_path / "verl.jsonl"
        validations = [
            {"step": step, "data": {"val-core/m/acc/mean@8": value}} for step, value in ((0, 0.25), (15, 0.36))
        ]
        verl.write_text("\n".join(map(json.dumps, validations)))
        for file in (prime, verl):
            done = gapcast("track", file, "--config", config, "--json")
            assert done.exit_code == 0, done.output
            run = json.loads(done.stdout)
            assert run["request"]["evaluation"] == {"problems": 128, "rollouts": 8, "fingerprint": None}
            assert [(look["step"], look["value"]) for look in run["looks"]] == [(15, 0.36)]

    def test_a_run_of_wandb_is_read(self, gapcast: Run, config: Path, tmp_path: Path) -> None:
        wandb = pytest.importorskip("wandb")
        with wandb.init(mode="offline", dir=str(tmp_path), project="p", settings=wandb.Settings(silent=True)) as logged:
            for step, accuracy in ((0, 0.25), (15, 0.36)):
                # longer than a block of the file
                logged.log({"train/global_step": step, "eval/accuracy": accuracy, "text": "x" * 40_000})
                logged.log({"train/global_step": step + 1, "loss": 1.0})
        (folder,) = (tmp_path / "wandb").glob("offline-run-*")
        done = gapcast("track", folder, "--config", config, "--rollouts", "4", "--json")
        assert done.exit_code == 0, done.output
        run = json.loads(done.stdout)
        assert [(look["step"], look["value"]) for look in run["looks"]] == [(15, 0.36)]

    def test_the_rule_says_stop_by_an_exit_code(self, gapcast: Run, config: Path, tmp_path: Path) -> None:
        file = tmp_path / "hopeless.csv"
        file.write_text(HOPELESS)
        options = ("--rollouts", "4", "--stop", "--alpha", "0.3", "--min-gain", "0.2", "--set", "seed=1")
        done = gapcast("track", file, "--config", config, *options)
        assert done.exit_code == 4, done.output
        assert done.stdout.splitlines()[-1].startswith("Stop: ")
        good = tmp_path / "good.csv"
        good.write_text(HALF)
        assert gapcast("track", good, "--config", config, *options).exit_code == 0

    def test_a_whole_run_is_stored_where_that_is_asked_for(
        self, gapcast: Run, connected: Client, config: Path, tmp_path: Path, pool: str
    ) -> None:
        file = tmp_path / "whole.csv"
        file.write_text("step,accuracy\n0,0.25\n" + "".join(f"{step},0.4\n" for step in range(15, 151, 15)))
        options = ("--rollouts", "4", "--set", f"pool={pool}", "--json")
        run = json.loads(gapcast("track", file, "--config", config, *options).stdout)
        assert run["observation_id"] is None
        ended = json.loads(gapcast("track", file, "--config", config, *options, "--end").stdout)
        assert ended["id"] == run["id"]
        stored = connected.observations.get(ended["observation_id"])
        assert (stored.pool, stored.source, len(stored.curve or [])) == (pool, "external", 10)


class TestFollowing:
    def test_a_growing_file_is_followed_to_its_last_step(self, gapcast: Run, config: Path, tmp_path: Path) -> None:
        file = tmp_path / "growing.csv"

        def write() -> None:
            time.sleep(0.3)
            with file.open("w") as out:
                for text in ("step,accuracy\n0,0.25\n", "75,0.3", "6\n", "150,0.4\n"):
                    out.write(text)
                    out.flush()
                    time.sleep(0.4)

        writer = threading.Thread(target=write)
        writer.start()
        done = gapcast("track", file, "--config", config, "--rollouts", "4", "--follow", "--every", "0.1", "--json")
        writer.join()
        assert done.exit_code == 0, done.output
        run = json.loads(done.stdout)
        # a line that is half written is not a look
        assert [(look["step"], look["value"]) for look in run["looks"]] == [(75, 0.36), (150, 0.4)]
        assert "Waiting for the first accuracy" in done.stderr
        assert "step 75 of 150: " in done.stderr

    def test_it_ends_where_the_rule_says_stop(self, gapcast: Run, config: Path, tmp_path: Path) -> None:
        file = tmp_path / "hopeless.csv"
        file.write_text(HOPELESS)
        options = ("--rollouts", "4", "--stop", "--alpha", "0.3", "--min-gain", "0.2", "--set", "seed=1", "--follow")
        assert gapcast("track", file, "--config", config, *options).exit_code == 4


FAULTS = [
    ("step,acuracy\n0,0.1\n", (), "expected a column of the accuracy, such as accuracy, got none. The columns are"),
    ("it,accuracy\n0,0.1\n", (), "expected a column of the step, such as step, got none."),
    ("step,x\n0,0.1\n", ("--map", "accuracy=y"), "--map accuracy: 'y' is not a column. The columns are step, x."),
    ("step,x\n0,0.1\n", ("--map", "y"), "--map: expected PART=NAME, PART one of step, accuracy, se, got 'y'."),
    ("step,accuracy\n0,0.1\n5,42\n", (), ":3: accuracy: expected a share from 0 to 1, got 42. Add --percent"),
    ("step,accuracy\n0,0.1\n5,420\n", ("--percent",), ":3: accuracy: expected a share from 0 to 100 per cent"),
    ("step,accuracy\n0,0.1\n5,x\n", (), ":3: accuracy: expected a number, got 'x'."),
    ("step,accuracy\n0,0.1\n5\n", (), ":3: expected 2 cells, one for each column of the header, got 1."),
    ("step,accuracy\n0,0.1\n30,0.2\n15,0.2\n", (), ":4: step: expected a step after 30, got 15. Sort the rows"),
    ("step,accuracy\n0,0.1\n30,0.2\n30,0.3\n", (), ":4: step: step 30 is there twice, with 0.2 and 0.3."),
    ("step,accuracy\n0,0.1\n1.5,0.2\n", (), ":3: step: expected a whole number of steps, got '1.5'."),
    ("step,accuracy\n15,0.2\n", (), ":2: expected the accuracy before training at step 0, got step 15 first."),
    ("step,accuracy\n", (), "expected lines with step and accuracy, got none."),
    ("step,accuracy\n0,0.1\n", ("--gap", "0.2"), "Give the gap with its standard error: --gap and --gap-se."),
    ("step,accuracy\n0,0.1\n", ("--alpha", "0.2"), "--error, --alpha and --stop-cold belong to --stop. Add it."),
    ("step,accuracy\n0,0.1\n151,0.2\n", ("--rollouts", "4"), "expected at most 150, the steps of the run"),
    ("step,accuracy\n0,0.1\n5,0.2\n", (), "baseline.se: expected a standard error over rollouts, got nothing."),
    ("step,accuracy\n0,0.1\n5,0.2\n", ("--rollouts", "4", "--set", "recipe.steps=x"), "--set recipe.steps: expected a"),
    ("step,accuracy\n0,0.1\n5,0.2\n", ("--rollouts", "4", "--set", "nothing=1"), "does not use the field nothing"),
]


class TestFaults:
    @pytest.mark.parametrize(("text", "options", "says"), FAULTS)
    def test_each_names_its_place_and_a_way_out(
        self, gapcast: Run, config: Path, tmp_path: Path, text: str, options: tuple[str, ...], says: str
    ) -> None:
        file = tmp_path / "faulty.csv"
        file.write_text(text)
        done = gapcast("track", file, "--config", config, *options)
        assert done.exit_code == 2, done.output
        assert says in done.stderr

    def test_of_the_command(self, gapcast: Run, config: Path, metrics: Path, tmp_path: Path) -> None:
        for arguments, says in (
            ((metrics,), "Name what is trained: --config FILE, or --prediction ID."),
            ((tmp_path / "none.csv", "--config", config), "none.csv: No such file or directory"),
            ((config, "--config", config), "expected a CSV file, lines of JSON with a step"),
            ((tmp_path, "--config", config), "expected one .wandb file in the folder, got 0."),
        ):
            done = gapcast("track", *arguments)
            assert done.exit_code == 2, done.output
            assert says in done.stderr

    def test_a_file_with_other_looks_is_another_run(self, gapcast: Run, config: Path, metrics: Path) -> None:
        options = ("--config", config, "--rollouts", "4")
        assert gapcast("track", metrics, *options).exit_code == 0
        metrics.write_text(HALF.replace("15,0.36", "15,0.37"))
        done = gapcast("track", metrics, *options)
        assert done.exit_code == 2
        assert "which is stored for step 15 of ext_" in done.stderr
        assert gapcast("track", metrics, *options, "--external-id", name()).exit_code == 0


class TestExternal:
    def test_runs_are_listed_shown_ended_and_removed(
        self, gapcast: Run, connected: Client, config: Path, metrics: Path
    ) -> None:
        called = name()
        options = ("--config", config, "--rollouts", "4", "--name", called, "--tag", "csv", "--external-id", called)
        assert gapcast("track", metrics, *options).exit_code == 0
        (run,) = connected.external_runs.list(name=called, tag="csv", status="running").data
        listed = gapcast("external", "list", "--name", called).stdout
        assert "45 / 150" in listed
        assert "+20.0" in listed
        shown = gapcast("external", "show", run.id[:-2]).stdout
        assert shown.startswith("lab/addition-qwen3-s on lab/addition, 150 steps: running\n")
        assert "45 / 150" in shown
        assert "Append a look at step 150" in gapcast("external", "end", run.id).stderr
        assert gapcast("external", "delete", run.id).exit_code == 2
        assert gapcast("external", "cancel", run.id).stdout == f"{run.id}: cancelled\n"
        assert gapcast("external", "delete", run.id).stdout == f"{run.id}: deleted\n"
        with pytest.raises(NotFound):
            connected.external_runs.get(run.id)

    def test_the_client_appends_one_look_or_several(self, connected: Client) -> None:
        fields = {name: CONFIG[name] for name in ("model", "task", "context", "recipe")}
        run = connected.external_runs.create(fields, baseline={"accuracy": 0.25, "se": 0.02})
        looked = connected.external_runs.look(run.id, 15, 0.3, se=0.02, problems=128)
        assert (looked.looks[0].problems, looked.looks[0].se) == (128, 0.02)
        looked = connected.external_runs.append(run.id, [{"step": 30, "value": 0.35, "se": 0.02}])
        assert looked.forecast is not None
        assert [look.step for look in looked.forecast.looks] == [15, 30]
