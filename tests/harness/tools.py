"""The real evaluation tools, each asked to evaluate a lab model with and without a hint; what they write is read by us.

`python -m tests.harness.tools FOLDER` keeps small files of theirs in tests/unit/gapcast/scores, for the quick tests.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from gapcast.launching import safe_environment
from tests.support.product import eventually
from workers.tasks import Split, load_task

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOOLS = ROOT / ".venv" / "harness" / "bin"
KEPT = ROOT / "tests" / "unit" / "gapcast" / "scores"
MODEL = "lab/addition"
ROLLOUTS = 2


class Pair(NamedTuple):
    """An evaluation without the context and one with it; several files of one are its rollouts."""

    student: list[Path]
    teacher: list[Path]


def problems(folder: Path, count: int) -> Path:
    """Write the problems of every tool's task: a sum, and the same with a hint of three of its digits."""
    task = load_task("lab/addition")
    chosen = task.problems(Split.train)[:count]
    hinted = [f"Hints: {task.hint_text(one, 3)}\n\n{one.text}" for one in chosen]
    rows = [
        {"id": one.id, "prompt": one.text, "hinted": text, "answer": one.answer}
        for one, text in zip(chosen, hinted, strict=True)
    ]
    path = folder / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Tools:
    """The tools in their own environment, asking the server of a lab model."""

    def __init__(self, folder: Path, url: str, count: int, tools: Path = TOOLS) -> None:
        self._folder, self._url, self._tools = folder, url, tools
        self._sums = problems(folder, count)

    def verifiers(self) -> Pair:
        return Pair([self._verifiers("plain", hint=False)], [self._verifiers("hinted", hint=True)])

    def _verifiers(self, name: str, *, hint: bool) -> Path:
        client = ["--client.base-url", self._url, "--client.api-key-var", "LAB_KEY"]
        offline = ["--push", "False", "--env.agent.harness.id", "null", "--env.agent.runtime.type", "subprocess"]
        offline += [
            "--env.retries.max-retries",
            "3",
        ]  # a process each, which takes long on a busy machine
        out = ["--output-dir", str(self._folder / "verifiers"), "--run.dir", name, "-r", str(ROLLOUTS), "-c", "2"]
        self._run("vf-eval", "gapcast_sums", "-m", MODEL, *client, *offline, *out, "--env.taskset.hint", str(hint))
        return self._folder / "verifiers" / name / "traces.jsonl"

    def inspect(self, form: str) -> Pair:
        return Pair([self._inspect(form, hint=False)], [self._inspect(form, hint=True)])

    def _inspect(self, form: str, *, hint: bool) -> Path:
        folder = self._folder / f"inspect-{form}-{hint}"
        out = ["--log-dir", str(folder), "--log-format", form, "--epochs", str(ROLLOUTS), "--display", "plain"]
        shutil.copy(HERE / "tasks" / "sums.py", self._folder)  # it takes paths below the current folder alone
        task = ["sums.py", "--model", "none/none", "-T", f"hint={hint}"]
        self._run("inspect", "eval", *task, *out)
        return next(folder.glob(f"*.{form}"))

    def lm_eval(self) -> Pair:
        return Pair(*([self._lm_eval(task, number) for number in range(ROLLOUTS)] for task in ("sums", "sums_hinted")))

    def _lm_eval(self, task: str, number: int) -> Path:
        out = self._folder / f"lm-{task}-{number}"
        where = f"model={MODEL},base_url={self._url}/completions,tokenizer_backend=none,tokenized_requests=False"
        tasks = ["--tasks", task, "--include_path", str(HERE / "tasks")]
        self._run("lm_eval", "run", "--model", "local-completions", "--model_args", where, *tasks,
                  "--output_path", str(out), "--log_samples")  # fmt: skip
        return next(out.rglob("samples_*.jsonl"))

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GAPCAST_")}
        return kept | {
            "GAPCAST_SUMS": str(self._sums),
            "LAB_URL": self._url,
            "LAB_KEY": "none",
            "PYTHONPATH": str(HERE),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(self._folder / "hub"),
        }

    def _run(self, name: str, *arguments: str) -> None:
        ended = subprocess.run(
            [str(self._tools / name), *arguments],
            cwd=self._folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
        )
        assert ended.returncode == 0, ended.stdout[-3000:].decode(errors="replace")


class Server:
    """The lab model's server, from `with` to its end."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def __enter__(self) -> str:
        with self._log.open("wb") as output:
            command = [sys.executable, str(HERE / "server.py"), "0"]
            environment = {**safe_environment(os.environ), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        found = eventually(lambda: self._line() or self._process.poll() is not None)
        assert isinstance(found, str), self._log.read_text()
        return f"http://127.0.0.1:{found}/v1"

    def _line(self) -> str | None:
        lines = self._log.read_text().splitlines()
        return next((line.split()[-1] for line in lines if line.startswith("listens on")), None)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)


def keep(folder: Path, tools: Path = TOOLS) -> None:
    """Write what the tools make of four problems to the folder of the quick tests."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with Server(folder / "server.log") as url:
        made = Tools(folder, url, 4, tools)
        pairs = {"verifiers": made.verifiers(), "eval": made.inspect("eval"), "json": made.inspect("json")}
        pairs["lm-eval"] = made.lm_eval()
    for name, pair in pairs.items():
        for arm, files in pair._asdict().items():
            for number, file in enumerate(files):
                kept = KEPT / f"{name}-{arm}-{number}{file.suffix}"
                shutil.copy(file, kept)
                if file.suffix != ".eval":  # which holds no path
                    kept.write_text(kept.read_text().replace(str(Path.home()), "/home/user"))


if __name__ == "__main__":
    keep(Path(sys.argv[1]), *map(Path, sys.argv[2:]))
