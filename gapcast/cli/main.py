"""The `gapcast` command; `serve`, `worker` and `lab` start the other rooms as processes."""

import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from gapcast._version import __version__
from gapcast.cli import comparisons, external, fits, observations, pools, predictions, probes, recommendations, runs
from gapcast.cli import models as model_commands
from gapcast.cli import tasks as task_commands
from gapcast.cli.compare import compare
from gapcast.cli.contexts import contexts
from gapcast.cli.demo import run_demo
from gapcast.cli.exits import TABLE, Exit
from gapcast.cli.law import law
from gapcast.cli.predict import predict
from gapcast.cli.probe import probe
from gapcast.cli.recommend import recommend
from gapcast.cli.size import size
from gapcast.cli.terminal import console, errors, note_json, plain_unless_terminal, report_waits
from gapcast.cli.track import track
from gapcast.cli.train import train
from gapcast.cli.usage import Commands
from gapcast.cli.workers import workers
from gapcast.launching import become, has_worker_extra, module_command, safe_environment

app = typer.Typer(
    name="gapcast",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="What an On-Policy Self-Distillation run will gain, before it is paid for.\n\n"
    "Start a server with `gapcast serve`, then ask it with `gapcast predict config.yaml`.",
    epilog=TABLE,
)
DataDir = Annotated[
    Path | None, typer.Option(help="Folder of the embedded database and queue (GAPCAST_DATA_DIR; default .gapcast).")
]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gapcast {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    note_json(asked=False)
    report_waits()


def _need_worker_extra() -> None:
    if not has_worker_extra():
        errors.print(
            "This needs torch and transformers, which the base install leaves out: pip install 'gapcast\\[worker]'"
        )
        raise typer.Exit(Exit.FAILED)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (GAPCAST_HOST; default 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one (GAPCAST_PORT; default 8321).")
    ] = None,
    data_dir: DataDir = None,
    worker: Annotated[
        bool | None, typer.Option("--worker/--no-worker", help="Start a worker too (default: with the embedded queue).")
    ] = None,
) -> None:
    """Serve the API and the page, with a worker of its own when no broker is set.

    Without settings everything lives in the folder .gapcast: SQLite, a queue in files, one worker. For PostgreSQL and
    Redis set GAPCAST_DATABASE_URL and GAPCAST_BROKER_URL, or write them into gapcast.toml. One data folder serves one
    server at a time.

    Exit codes: 0 it was stopped (Ctrl-C), 2 it cannot serve with these settings.
    """
    settings = {
        "GAPCAST_HOST": host,
        "GAPCAST_PORT": None if port is None else str(port),
        "GAPCAST_DATA_DIR": None if data_dir is None else str(data_dir),
        "GAPCAST_WORKER": {None: None, True: "on", False: "off"}[worker],
    }
    become("service", "serve", settings=settings)


@app.command()
def worker(
    data_dir: DataDir = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Jobs of each queue at a time (GAPCAST_WORKER_CONCURRENCY).")
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(help="Take jobs of this queue alone: probes or training (GAPCAST_WORKER_QUEUES)."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Take the jobs that need this label too, such as gpu (GAPCAST_WORKER_LABELS)."),
    ] = None,
    memory_gb: Annotated[
        float | None,
        typer.Option(help="GB of the GPU's memory that its jobs share (GAPCAST_WORKER_MEMORY_GB)."),
    ] = None,
) -> None:
    """Run a worker: it measures gaps and trains, and neither waits for the other.

    It needs the same GAPCAST_DATABASE_URL and GAPCAST_BROKER_URL (or data folder) as the server.
    """
    _need_worker_extra()
    settings = {
        "GAPCAST_DATA_DIR": None if data_dir is None else str(data_dir),
        "GAPCAST_WORKER_CONCURRENCY": None if concurrency is None else str(concurrency),
        "GAPCAST_WORKER_QUEUES": ",".join(queue) if queue else None,
        "GAPCAST_WORKER_LABELS": ",".join(label) if label else None,
        "GAPCAST_WORKER_MEMORY_GB": None if memory_gb is None else str(memory_gb),
    }
    become("workers", settings=settings)


app.command()(predict)
app.command()(compare)
app.command()(recommend)
app.command()(probe)
app.command()(size)
app.command()(train)
app.command()(track)
app.command()(law)
app.command()(contexts)
app.command()(workers)
GROUPS = (
    *(predictions, comparisons, recommendations, probes, runs, external, observations),
    *(pools, fits, task_commands, model_commands),
)
for group in GROUPS:
    app.add_typer(group.app)


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port to serve on; a free one if it is taken.")] = 8321,
    data_dir: Annotated[Path, typer.Option(help="Folder of the demo's database, queue and log.")] = Path(
        ".gapcast/demo"
    ),
) -> None:
    """Serve on this machine alone and predict one run of a bundled lab model.

    In a terminal it goes on serving until Ctrl-C; elsewhere it stops everything that it started.
    """
    _need_worker_extra()
    raise typer.Exit(run_demo(console, port, data_dir))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def lab(context: typer.Context) -> None:
    """Build the lab's tiny models (`build`) or measure the lab pool's runs (`measure`); `gapcast lab --help`."""
    _need_worker_extra()
    command = module_command("workers.lab", *context.args)
    raise typer.Exit(subprocess.call(command, env=safe_environment(os.environ)))


def main() -> None:
    """Run the command."""
    plain_unless_terminal(app)
    app()
