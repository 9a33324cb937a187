"""Logs in the shapes that verl writes, and what becomes of them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gapcast import Client
from gapcast.elsewhere.verl import app
from gapcast.elsewhere.verl_log import Validation, VerlLogError, first_and_last, read_log, read_scores

ACC = "val-core/openai/gsm8k/acc/mean@4"
Step = tuple[int, dict[str, float | None]]

RUN: list[Step] = [
    (0, {ACC: 0.40625, "val-core/openai/gsm8k/acc/best@4/mean": 0.62, "val-aux/openai/gsm8k/reward/mean@4": 0.31}),
    (1, {"actor/grad_norm": 0.02, "training/global_step": 1, "critic/score/mean": 0.4}),
    (2, {"actor/grad_norm": 0.03, ACC: 0.5, "training/global_step": 2}),
    (3, {"actor/grad_norm": 0.02, "training/global_step": 3}),
    (4, {"actor/grad_norm": 0.01, ACC: 0.59375, "val-aux/num_turns/mean": 2.0, "training/global_step": 4}),
]


def in_a_file(steps: Sequence[Step]) -> str:
    """`FileLogger` of verl."""
    return "".join(json.dumps({"step": step, "data": data}) + "\n" for step, data in steps)


def on_the_console(steps: Sequence[Step]) -> str:
    """`LocalLogger` of verl in a Ray task: a coloured prefix, numpy scalars as they print themselves, other lines."""
    shown = []
    for step, data in steps:
        pairs = [
            f"{name}:{f'np.float64({value})' if name.startswith('val') else value}" for name, value in data.items()
        ]
        shown.append("\x1b[36m(TaskRunner pid=4242)\x1b[0m " + " - ".join([f"step:{step}", *pairs]))
    return "\n".join(["INFO starting: step 0 of 4", *shown, "Final validation metrics: {...}", ""])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(text: str, name: str = "run.log") -> Path:
        file = tmp_path / name
        file.write_text(text)
        return file

    return written


@pytest.fixture
def verl(server: str, monkeypatch: pytest.MonkeyPatch, pool: str) -> Callable[..., Result]:
    """Run the script against the server, with what every run must say."""
    monkeypatch.setenv("GAPCAST_URL", server)
    about = ["--family", "qwen3", "--task", "gsm8k", "--model", "Qwen3-8B", "--context-kind", "feedback"]
    gap = ["--gap", "0.18", "--gap-se", "0.02"]

    def run(log: Path, *more: object, gap: Sequence[str] = gap) -> Result:
        return CliRunner().invoke(app, [str(log), *about, *gap, "--pool", pool, *map(str, more)])

    return run


class TestLog:
    @pytest.mark.parametrize("shape", [in_a_file, on_the_console])
    def test_both_shapes_say_the_same(self, write: Callable[..., Path], shape: Callable[..., str]) -> None:
        log = read_log([write(shape(RUN))])
        assert log.last_step == 4
        assert first_and_last(log) == (Validation(0, ACC, 0.40625, "acc", 4), Validation(4, ACC, 0.59375, "acc", 4))

    def test_an_older_console_rounds_to_three_digits(self, write: Callable[..., Path]) -> None:
        text = "step:0 - val-core/openai/gsm8k/acc/mean@1:0.508\nstep:1 - val-core/openai/gsm8k/acc/mean@1:0.565\n"
        assert [one.accuracy for one in read_log([write(text)]).validations] == [0.508, 0.565]

    def test_progress_bars_and_broken_lines_are_passed_over(self, write: Callable[..., Path]) -> None:
        text = f"Training:  0%|   | 0/4\r{on_the_console(RUN[:1])}" + '{"step": 1, "da\n' + in_a_file(RUN[2:])
        assert [one.step for one in read_log([write(text)]).validations] == [0, 2, 4]

    def test_a_resumed_run_is_all_its_logs(self, write: Callable[..., Path]) -> None:
        first, second = write(in_a_file(RUN[:4]), "a.jsonl"), write(in_a_file(RUN[2:]), "b.jsonl")
        assert first_and_last(read_log([first, second]))[1].step == 4
        with pytest.raises(VerlLogError, match=r"first validation is at step 2, not 0.*val_before_train=True.*all its"):
            first_and_last(read_log([second]))

    def test_of_several_metrics_one_is_chosen(self, write: Callable[..., Path]) -> None:
        other = "val-core/math/reward/mean@4"
        file = write(in_a_file([(0, {ACC: 0.1, other: 0.2}), (1, {ACC: 0.3, other: 0.4})]))
        with pytest.raises(VerlLogError, match=f"choose one with --metric: {other}, {ACC}"):
            read_log([file])
        assert [one.accuracy for one in read_log([file], other).validations] == [0.2, 0.4]
        aux = "val-aux/openai/gsm8k/reward/mean@4"
        assert read_log([write(in_a_file(RUN))], aux).validations[0].accuracy == 0.31

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("nothing\n", r"no line is a step of verl's"),
            (in_a_file(RUN[1:2]), r"no validation. Nothing begins with val; .*trainer\.test_freq above 0"),
            (in_a_file([(0, {"val/test_score/x": 0.5})]), r"no validation. What begins with val: val/test_score/x;"),
            (
                in_a_file([(0, {ACC: -0.8})]),
                r"step 0, .*: -0\.8 is not an accuracy between 0 and 1; name one with --metric",
            ),
            (in_a_file([(0, {ACC: None})]), r"step 0, .*: None is not an accuracy"),
            (on_the_console([(0, {ACC: float("nan")})]), r"step 0, .*: nan is not an accuracy"),
        ],
    )
    def test_what_is_not_there_is_named(self, write: Callable[..., Path], text: str, said: str) -> None:
        with pytest.raises(VerlLogError, match=said):
            read_log([write(text)])

    @pytest.mark.parametrize("metric", ["val-core/openai/gsm8k/acc/best@4/mean", "critic/score/mean"])
    def test_what_is_no_mean_of_rollouts_is_refused(self, write: Callable[..., Path], metric: str) -> None:
        with pytest.raises(VerlLogError, match=r"--metric: .* is not a val-core"):
            read_log([write(in_a_file(RUN))], metric)

    def test_the_end_is_validated_or_named(self, write: Callable[..., Path]) -> None:
        log = read_log([write(in_a_file(RUN[:4]))])
        with pytest.raises(VerlLogError, match=r"no validation at step 3, the last of the log; there are: 2\..*--step"):
            first_and_last(log)
        assert first_and_last(log, 2)[1].accuracy == 0.5
        with pytest.raises(VerlLogError, match=r"no validation at step 1; there are: 2\."):
            first_and_last(log, 1)
        with pytest.raises(VerlLogError, match=r"there are: none after step 0"):
            first_and_last(read_log([write(in_a_file(RUN[:1]))]))


BEFORE = {"p\u2028one": [1, 0, 0, 1], "p two": [0, 0, 0, 0], "p three": [1, 1, 1, 1], "p four": [0, 0.5, 0, 0]}
AFTER = {"p two": [1, 0, 0, 0], "p three": [1, 1, 1, 1], "p four": [0, 0, 0.5, 0], "p\u2028one": [1, 1, 1, 1]}


def generations(folder: Path, step: int, scores: dict[str, list[float]]) -> None:
    """`_dump_generations` of verl: one line a rollout."""
    folder.mkdir(exist_ok=True)
    lines = [
        json.dumps(
            {"input": prompt, "output": "so ...", "gts": "7", "score": 2 * one - 1, "step": step, "acc": one},
            ensure_ascii=False,
        )
        for prompt, found in scores.items()
        for one in found
    ]
    (folder / f"{step}.jsonl").write_text("\n".join(lines) + "\n")


class TestGenerations:
    def test_give_the_scores_of_every_problem(self, tmp_path: Path) -> None:
        generations(tmp_path / "val", 0, BEFORE)
        found = read_scores(tmp_path / "val", Validation(0, ACC, 0.40625, "acc", 4))
        assert found == {prompt: sum(scores) for prompt, scores in BEFORE.items()}

    def test_that_do_not_belong_to_the_log_are_refused(self, tmp_path: Path) -> None:
        generations(tmp_path / "val", 0, BEFORE)
        with pytest.raises(VerlLogError, match=r"a mean of 0\.4062, the log says 0\.3000"):
            read_scores(tmp_path / "val", Validation(0, ACC, 0.3, "acc", 4))
        with pytest.raises(VerlLogError, match=r"4 rollouts a prompt, .* says 8"):
            read_scores(tmp_path / "val", Validation(0, ACC, 0.40625, "acc", 8))
        with pytest.raises(VerlLogError, match=r"4\.jsonl is not there"):
            read_scores(tmp_path / "val", Validation(4, ACC, 0.40625, "acc", 4))
        with pytest.raises(VerlLogError, match=r"0\.jsonl, line 1: no object with input and reward"):
            read_scores(tmp_path / "val", Validation(0, ACC, 0.40625, "reward", 4))


def pools_of(connected: Client) -> set[str]:
    return {one.name for one in connected.pools.list()}


class TestCommand:
    @pytest.mark.parametrize("shape", [in_a_file, on_the_console])
    def test_stores_the_run_once(
        self,
        verl: Callable[..., Result],
        write: Callable[..., Path],
        connected: Client,
        pool: str,
        shape: Callable[..., str],
    ) -> None:
        log = write(shape(RUN))
        options = ["--problems", 400, "--teacher", "ema", "--divergence", "reverse_kl"]
        done = verl(log, *options)
        assert done.exit_code == 0, done.output
        assert verl(log, *options).exit_code == 0
        [stored] = connected.observations.list(pool=pool)
        assert done.output.rstrip().endswith(stored.id)
        assert (stored.source, stored.baseline) == ("verl", 0.40625)
        assert (stored.gap.value, stored.gap.se, stored.gap.variance) == (0.18, 0.02, "given")
        assert stored.improvement.value == pytest.approx(0.1875)
        assert (stored.improvement.problems, stored.improvement.rollouts) == (400, 4)
        assert stored.improvement.variance == "assumed"
        assert stored.recipe is not None
        assert stored.recipe["steps"] == 4
        assert stored.provenance["training"] == {"steps": 4, "metric": ACC}

    def test_with_generations_the_error_is_measured(
        self, verl: Callable[..., Result], write: Callable[..., Path], connected: Client, pool: str, tmp_path: Path
    ) -> None:
        generations(tmp_path / "val", 0, BEFORE)
        generations(tmp_path / "val", 4, AFTER)
        done = verl(write(in_a_file(RUN)), "--generations", tmp_path / "val")
        assert done.exit_code == 0, done.output
        [stored] = connected.observations.list(pool=pool)
        assert stored.improvement.value == pytest.approx((2 + 1) / 16)  # paired by prompt, whatever the files' order
        assert stored.improvement.variance == "counts"
        assert (stored.improvement.problems, stored.improvement.rollouts) == (4, 4)

    def test_other_problems_at_the_end_are_refused(
        self, verl: Callable[..., Result], write: Callable[..., Path], tmp_path: Path
    ) -> None:
        generations(tmp_path / "val", 0, BEFORE)
        generations(tmp_path / "val", 4, {f"other {prompt}": scores for prompt, scores in AFTER.items()})
        done = verl(write(in_a_file(RUN)), "--generations", tmp_path / "val")
        assert done.exit_code == 2
        assert "the problems of steps 0 and 4 are not the same" in done.output

    def test_writes_a_file_instead(
        self, verl: Callable[..., Result], write: Callable[..., Path], connected: Client, pool: str, tmp_path: Path
    ) -> None:
        out = tmp_path / "row.json"
        done = verl(write(in_a_file(RUN)), "--problems", 400, "--out", out, "--external-id", "mine", "--collapsed")
        assert done.exit_code == 0, done.output
        assert pool not in pools_of(connected)
        assert connected.observations.import_file(out).created == 1
        [stored] = connected.observations.list(pool=pool)
        assert (stored.external_id, stored.collapsed) == ("mine", True)

    @pytest.mark.parametrize(
        ("gap", "more", "said"),
        [
            ([], ["--problems", "9"], "Give the gap: --gap with --gap-se, or --probe."),
            (["--gap", "0.1"], ["--problems", "9"], "Give the gap"),
            (["--gap", "0.1", "--gap-se", "0.1", "--probe", "p"], ["--problems", "9"], "Give the gap"),
            (["--probe", "prob_0"], ["--problems", "9"], "prob_0"),
            (["--gap", "0.1", "--gap-se", "0.1"], [], "give --problems, or --generations"),
            (["--gap", "0.1", "--gap-se", "0.1"], ["--problems", "9", "--prediction", "pred_0"], "pred_0"),
            (["--gap", "0.1", "--gap-se", "0.1"], ["--problems", "9", "--teacher", "nobody"], "teacher"),
            (["--gap", "18", "--gap-se", "2"], ["--problems", "9"], "expected a share from -1 to 1, got 18."),
        ],
    )
    def test_says_what_is_wrong_and_stores_nothing(
        self,
        verl: Callable[..., Result],
        write: Callable[..., Path],
        connected: Client,
        pool: str,
        gap: list[str],
        more: list[str],
        said: str,
    ) -> None:
        done = verl(write(in_a_file(RUN)), *more, gap=gap)
        assert done.exit_code == 2
        assert said in " ".join(done.output.replace("│", " ").split())
        assert pool not in pools_of(connected)

    def test_a_probe_that_has_not_ended_has_no_gap(
        self,
        verl: Callable[..., Result],
        write: Callable[..., Path],
        connected: Client,
        configuration: dict[str, Any],
    ) -> None:
        probe = connected.probes.create(configuration)
        done = verl(write(in_a_file(RUN)), "--problems", 400, gap=["--probe", probe.id])
        assert done.exit_code == 2
        assert f"probe {probe.id} is queued; a gap comes from one that has succeeded" in done.output
