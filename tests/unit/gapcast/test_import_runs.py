"""Past runs as people have them become observations by one command, and come back under the names that people gave."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from gapcast import Client
from tests.support import run_logs

Run = Callable[..., Result]

LOGS = Path(run_logs.__file__).parent
ABOUT = "family=qwen3 model=Qwen/Qwen3-8B task=livecodebench-v6 recipe.teacher=ema recipe.divergence=reverse_kl"
SIZES = "problems=256 rollouts=4"


def options(maps: str, defaults: str) -> list[str]:
    made = [one for pair in maps.split() for one in ("--map", pair)]
    return made + [one for pair in defaults.split() for one in ("--defaults", pair)]


EXPORT = options(
    "Name=external_id acc_before=before acc_teacher=teacher acc_after=after context.kind=context_kind "
    "lr=recipe.learning_rate _step=recipe.steps",
    f"{ABOUT} {SIZES}",
)


def test_a_table_of_wandb_gives_the_law_and_its_outliers_by_name(gapcast: Run, connected: Client, pool: str) -> None:
    done = gapcast("observations", "import", LOGS / "wandb_export.csv", *EXPORT, "--percent", "--pool", pool)
    assert done.exit_code == 0, done.output
    assert "Stored 20 observations." in done.stdout
    assert "Columns that were not read: State, Notes, User, Tags, Created, Runtime, Sweep\n" in done.stdout

    law = gapcast("law", "--pool", pool).stdout
    unusual = law.partition("Unusual runs")[2]
    assert [name for name in ("wrong-split", "lr-too-high") if name in unusual] == ["wrong-split", "lr-too-high"]
    assert unusual.count("obs_") == 2

    fit = connected.fits.current(pool)
    assert (fit.n, fit.families[0].family) == (20, "qwen3")
    outliers = {one.external_id: one for one in connected.fits.residuals(fit.id, unusual=True).data}
    assert outliers.keys() == {"wrong-split", "lr-too-high"}
    assert outliers["wrong-split"].improvement == pytest.approx(0.38, abs=1e-9)
    assert "wrong-split" in gapcast("fits", "show", fit.id).stdout
    assert "wrong-split" in gapcast("observations", "list", "--pool", pool).stdout

    left = gapcast("observations", "exclude", "wrong-split", "--reason", "evaluated on the wrong split")
    assert left.exit_code == 0, left.output
    assert "wrong-split" not in gapcast("law", "--pool", pool).stdout
    again = gapcast("observations", "import", LOGS / "wandb_export.csv", *EXPORT, "--percent", "--pool", pool)
    assert "Stored 0 observations; 20 existed already." in again.stdout


STATE = {
    "global_step": 100,
    "log_history": [
        {"step": 0, "self_distillation/student_accuracy": 0.40, "self_distillation/teacher_accuracy": 0.60},
        {"step": 50, "loss": 0.3},
        {"step": 50, "self_distillation/student_accuracy": 0.50, "self_distillation/teacher_accuracy": 0.70},
        {"step": 100, "self_distillation/student_accuracy": 0.55, "self_distillation/teacher_accuracy": 0.72},
    ],
}
METRICS = [
    {"step": 0, "progress/batch": 0, "test/env/all/correct": 40.0},
    {"step": 1, "optim/lr": 1e-5},
    {"step": 50, "test/env/all/correct": 15.0},
]
VERL = "step:0 - val-core/gsm8k/acc/mean@4:0.4\nstep:5 - val-core/gsm8k/acc/mean@4:0.5\n"


@pytest.mark.slow
class TestRunsOfPrograms:
    """The accuracies of each are those that it logged; the figures are by hand."""

    @pytest.mark.parametrize(
        ("kept", "gap"), [("wandb", "gap_se=gap.se gain_se=improvement.se context.kind=context_kind"), ("mlruns", "")]
    )
    def test_folders_of_trackers(self, gapcast: Run, connected: Client, pool: str, kept: str, gap: str) -> None:
        given = options(f"eval/teacher@first=teacher {gap}", f"{ABOUT} {SIZES}")
        done = gapcast("observations", "import", LOGS / kept, *given, "--pool", pool)
        assert done.exit_code == 0, done.output
        stored = {one.name: one for one in connected.observations.list(pool=pool)}
        assert stored.keys() == {"feedback-seed-0", "hints-seed-1"}
        one = stored["feedback-seed-0"]
        assert (one.baseline, one.gap.value, one.context_kind) == (0.4, pytest.approx(0.2), "feedback")
        assert one.improvement is not None
        assert one.improvement.value == pytest.approx(0.18)
        assert one.recipe is not None
        assert one.recipe["steps"] == 150
        assert [(look.step, round(look.improvement, 9)) for look in one.curve or ()] == [(75, 0.1), (150, 0.18)]
        assert one.gap.variance == ("given" if kept == "wandb" else "assumed")
        assert one.external_id == ("fixture0" if kept == "wandb" else one.external_id)
        again = gapcast("observations", "import", LOGS / kept, *given, "--pool", pool, "--json")
        assert json.loads(again.stdout)["existing"] == 2

    def test_a_trainer_state_of_trl(self, gapcast: Run, connected: Client, pool: str, tmp_path: Path) -> None:
        for seed in (3, 4):
            folder = tmp_path / f"seed-{seed}" / "checkpoint-100"
            folder.mkdir(parents=True)
            (folder / "trainer_state.json").write_text(json.dumps(STATE | {"seed": seed}, indent=2))
        files = sorted(tmp_path.rglob("trainer_state.json"))
        given = options("", f"{ABOUT} {SIZES} context_kind=feedback")
        done = gapcast("observations", "import", *files, *given, "--pool", pool)
        assert done.exit_code == 0, done.output
        stored = [*connected.observations.list(pool=pool, order="asc")]
        assert [one.name for one in stored] == ["seed-3", "seed-4"]
        assert [(one.baseline, one.gap.value) for one in stored] == [(0.4, pytest.approx(0.2))] * 2

    def test_lines_of_metrics_with_a_configuration_beside_them(
        self, gapcast: Run, connected: Client, pool: str, tmp_path: Path
    ) -> None:
        (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in METRICS))
        (tmp_path / "config.json").write_text(json.dumps({"model_name": "Qwen/Qwen3-8B", "eval": {"teacher": 55}}))
        maps = "test/env/all/correct=accuracy eval.teacher=teacher model_name=model"
        given = options(maps, f"{SIZES} family=qwen3 task=t context_kind=feedback")
        done = gapcast("observations", "import", tmp_path, *given, "--percent", "--pool", pool)
        assert done.exit_code == 0, done.output
        (one,) = connected.observations.list(pool=pool)
        assert (one.model, one.baseline, one.gap.value) == ("Qwen/Qwen3-8B", 0.4, pytest.approx(0.15))
        assert one.collapsed
        assert "(marked_collapsed)" in done.stdout

    def test_a_log_of_verl(self, gapcast: Run, connected: Client, pool: str, tmp_path: Path) -> None:
        file = tmp_path / "run-7.log"
        file.write_text(VERL)
        given = [*options("", f"{ABOUT} problems=256 context_kind=hints teacher=0.6"), "--pool", pool]
        assert gapcast("observations", "import", file, *given).exit_code == 0
        (one,) = connected.observations.list(pool=pool)
        assert (one.name, one.gap.value, one.gap.rollouts) == ("run-7", pytest.approx(0.2), 4)
        file.write_text(VERL + VERL)
        done = gapcast("observations", "import", file, *given)
        assert done.exit_code == 2
        assert "run-7.log, line 3: expected a step after 5, got 0, so the log starts again there." in done.stderr

    def test_the_example_is_a_table_that_is_taken(self, gapcast: Run, pool: str, tmp_path: Path) -> None:
        file = tmp_path / "runs.csv"
        file.write_text(gapcast("observations", "import", "--example").stdout)
        done = gapcast("observations", "import", file, "--pool", pool)
        assert "Stored 2 observations." in done.stdout, done.output

    def test_faults_are_named_as_they_were_written(
        self, gapcast: Run, connected: Client, pool: str, tmp_path: Path
    ) -> None:
        table, over, late = LOGS / "wandb_export.csv", tmp_path / "over.csv", tmp_path / "metrics.jsonl"
        over.write_text(table.read_text().replace('"42.69"', '"142.69"'))
        late.write_text('{"step": 10, "eval/acc": 0.4}\n')
        for arguments, says in (
            ((table, "--map", "acc_befor=before"), "--map: expected a column of the file, got 'acc_befor'."),
            ((table, "--map", "Name=accuracy"), "--map: accuracy is a part of a run's log, and "),
            ((table, "--defaults", "famly=x"), "--defaults: expected a field of an observation in 'famly=x'"),
            ((table, "--map", "Name"), "--map: expected COLUMN=FIELD, got 'Name'."),
            (
                (over, *EXPORT, "--percent"),
                "over.csv: row 2 (line 3), after: column 'acc_after': expected a percentage",
            ),
            ((late,), "metrics.jsonl:1: expected the accuracy before training at step 0, got step 10 first."),
            ((tmp_path,), "metrics.jsonl:1: expected the accuracy before training at step 0"),
            ((table, over), "FILE: expected one table, or the logs of several runs, got several."),
            ((), "Name what to import: FILE, or --wandb ENTITY/PROJECT."),
            (("--wandb", "a/b"), "--wandb: "),
        ):
            done = gapcast("observations", "import", *arguments, "--pool", pool)
            assert done.exit_code == 2, done.output
            assert says in done.stderr
        assert pool not in [one.name for one in connected.pools.list()]
