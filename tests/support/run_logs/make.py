"""Make the run logs beside this file with the programs that write such; wandb and mlflow must be installed.

They say nothing of the machine that they were made on. Two runs each: one that learns, and one that falls back.
The table is written as the page of W&B exports one, which no library does: a run a row, every cell in quotes.
"""

import csv
import os
import random
import shutil
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RUNS = {
    "feedback-seed-0": {"before": 0.40, "teacher": 0.60, "middle": 0.50, "after": 0.58, "kind": "feedback"},
    "hints-seed-1": {"before": 0.42, "teacher": 0.55, "middle": 0.45, "after": 0.40, "kind": "hints"},
}
STEPS = 150


def looks(run: dict[str, float]) -> list[tuple[int, float]]:
    """The accuracies of a run by step."""
    return [(0, run["before"]), (75, run["middle"]), (STEPS, run["after"])]


def wandb_runs(folder: Path) -> None:
    """Log each run offline, and keep the file that `wandb sync` would send."""
    import wandb

    quiet = {"x_disable_meta": True, "x_disable_stats": True, "disable_git": True, "console": "off", "host": "host"}
    settings = wandb.Settings(silent=True, save_code=False, disable_code=True, **quiet)
    for number, (name, run) in enumerate(RUNS.items()):
        config = {"context": {"kind": run["kind"]}, "lr": 5e-6, "gap_se": 0.02, "gain_se": 0.025}
        logged = wandb.init(
            mode="offline",
            project="opsd",
            name=name,
            id=f"fixture{number}",
            dir=folder,
            settings=settings,
            config=config,
        )
        for step, accuracy in looks(run):
            logged.log({"train/global_step": step, "eval/accuracy": accuracy, "eval/teacher": run["teacher"]})
            logged.log({"train/global_step": step, "train/loss": 0.3})
        logged.finish()
    wandb.teardown()  # the files are whole only then
    for file in (folder / "wandb").glob("offline-run-*/*.wandb"):
        kept = HERE / "wandb" / f"offline-run-20260101_000000-{file.stem.removeprefix('run-')}"
        kept.mkdir(parents=True)
        shutil.copy(file, kept)


def wandb_export() -> None:
    """Write 20 runs in percent, of which two do not follow the others."""
    drawn = random.Random(0)
    columns = ("Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep", "context.kind", "lr")
    with (HERE / "wandb_export.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow([*columns, "acc_after", "acc_before", "acc_teacher", "_step"])
        for number in range(20):
            kind = ("feedback", "hints")[number % 2]
            before, gap = drawn.uniform(36, 46), 5 + 1.3 * number
            gain = 0.85 * gap + drawn.gauss(0, 1.2)
            name = f"{kind}-seed-{number}"
            if number == 6:
                name, gain = "wrong-split", 38.0
            if number == 15:
                name, gain = "lr-too-high", -14.0
            figures = [f"{one:.2f}" for one in (before + gain, before, before + gap)]
            created = f"2026-03-{number + 1:02}T10:00:00.000Z"
            writer.writerow(
                [name, "finished", "-", "ada", "", created, 5400 + number, "", kind, "5e-06", *figures, 150]
            )


def mlflow_runs() -> None:
    """Log each run to a folder."""
    import mlflow

    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    mlflow.set_tracking_uri((HERE / "mlruns").as_uri())
    experiment = mlflow.create_experiment("opsd", artifact_location="file:///artifacts")
    hidden = {f"mlflow.{name}": name for name in ("user", "source.name", "source.type")}
    for name, run in RUNS.items():
        with mlflow.start_run(experiment_id=experiment, run_name=name, tags=hidden):
            mlflow.log_params({"context_kind": run["kind"], "lr": 5e-6, "gap_se": 0.02, "gain_se": 0.025})
            for step, accuracy in looks(run):
                mlflow.log_metrics({"eval/accuracy": accuracy, "eval/teacher": run["teacher"]}, step=step)
    for file in (HERE / "mlruns").rglob("mlflow.source.git.*"):
        file.unlink()
    for file in (HERE / "mlruns").rglob("meta.yaml"):
        text = file.read_text(encoding="utf-8").replace((HERE / "mlruns").as_uri(), "file:///mlruns")
        user = "\n".join("user_id: user" if line.startswith("user_id:") else line for line in text.split("\n"))
        file.write_text(user, encoding="utf-8")


if __name__ == "__main__":
    for made in ("wandb", "mlruns"):
        shutil.rmtree(HERE / made, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        wandb_runs(Path(name))
    mlflow_runs()
    wandb_export()
