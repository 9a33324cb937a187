"""`gapcast models`: what a server's workers can load, and the entry that adds one."""

import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from gapcast.cli.listing import show_list
from gapcast.cli.printing.catalog import print_model, print_models
from gapcast.cli.terminal import AsJson, Url, console, exit_on_refusal, print_json, refuse, say
from gapcast.client import DEFAULT_URL, Client
from gapcast.launching import module_command, safe_environment

app = typer.Typer(
    name="models", no_args_is_help=True, help="Models that a gap can be measured of: list, show, inspect a folder."
)


@app.command("list")
def list_(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the models that workers can load: the lab's and those of the server's settings."""
    with exit_on_refusal(), Client(url) as client:
        models = client.models.list()
        show_list("models", len(models.data), lambda _: models, print_models, as_json=as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show one model that workers can load."""
    with exit_on_refusal(), Client(url) as client:
        found = client.models.get(name)
    if as_json:
        print_json(found)
    else:
        print_model(console, found)


@app.command()
def inspect(
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="The model's folder on this machine: safetensors.")],
    name: Annotated[str, typer.Option(help="What configurations call it, such as Qwen/Qwen3-8B.")],
    family: Annotated[str, typer.Option(help="The law's group, such as qwen3.")],
) -> None:
    """Check a model's folder and print its entry for gapcast.toml; no server is asked.

    gapcast models inspect PATH --name N --family F >> gapcast.toml, on the server and on each of its workers; both read
    it when they start.

    Exit code 2: workers would not load this folder.
    """
    if not folder.is_dir():
        got = "a file" if folder.exists() else "a path that does not exist"
        refuse([f"PATH: expected a model's folder, got {got}: {folder}. Name the folder that holds its config.json."])
    command = module_command("workers.engines.folder", str(folder), "--name", name, "--family", family)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=safe_environment(os.environ), check=False)
    if done.returncode != 0:
        raise typer.Exit(2)
    typer.echo(done.stdout, nl=False)
    say("Put it into the gapcast.toml of the server and of each worker, and start them again.")
