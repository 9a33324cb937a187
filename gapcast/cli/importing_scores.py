"""`gapcast probes import`: a gap that another harness has measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gapcast.cli.configuration import Configuration, read_configuration
from gapcast.cli.printing.probes import show_probe
from gapcast.cli.terminal import AsJson, Name, Set, Tags, Url, exit_on_refusal, label, refuse, say
from gapcast.client import DEFAULT_URL, Client
from gapcast.contract.base import JsonObject
from gapcast.contract.imported_probes import ARMS
from gapcast.elsewhere.scores import PARTS, Form, form_of, read_scores

ASKED = ("model", "task", "context", "decoding")
"""fields of a configuration that say what was measured"""


def _files(what: str) -> Any:  # noqa: ANN401
    return typer.Option(help=f"{what}; several files are its rollouts, one after another.", show_default=False)


def import_(
    student: Annotated[list[Path], _files("An evaluation without the context")],
    teacher: Annotated[list[Path], _files("The same model's evaluation with the context")],
    none: Annotated[list[Path] | None, _files("A second evaluation without the context, the A/A control")] = None,
    placebo: Annotated[list[Path] | None, _files("An evaluation with another problem's context")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="The YAML or JSON file of `gapcast predict`: model, task, context.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="In place of --config: its name, as you call it.")] = None,
    family: Annotated[str | None, typer.Option(help="The law's group of the model, such as qwen3.")] = None,
    task: Annotated[str | None, typer.Option(help="Your name of the problems.")] = None,
    context: Annotated[str | None, typer.Option(help="The kind of context, such as feedback.")] = None,
    format_: Annotated[
        Form | None, typer.Option("--format", help="What the files are (default: by their names and content).")
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="PART=NAME",
            help="The field of problem or score where it has another name, such as score=exact_match; may be repeated.",
        ),
    ] = None,
    set_: Set = None,
    name: Name = None,
    tag: Tags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Store the gap between two evaluations of any harness, so that it can be predicted from and compared.

    The files are CSV tables or lines of JSON with a problem and a score, traces.jsonl of verifiers, logs of inspect-ai,
    samples of lm-eval, or generations of verl's validation. All evaluations have the same problems and as many rollouts
    of each. Scores are from 0 to 1.

    Then: gapcast predict run.yaml --set probe_id=PROBE

    Exit codes: 0 it is stored, 2 a file, an option or the request is wrong, 3 the server is away.
    """
    read = read_configuration(config, [*(set_ or ()), *_asked(model, family, task, context)])
    body: JsonObject = {field: read[field] for field in ASKED if field in read} | label(read, name, tag)
    names = _names(map_)
    files = {"student": student, "teacher": teacher, "none": none or [], "placebo": placebo or []}
    read.named_by({arm: f"--{arm}" for arm in ARMS})
    with exit_on_refusal(read):
        forms = {format_ or form_of(one) for one in student}
        body |= {arm: read_scores(paths, format_, names) for arm, paths in files.items() if paths}
        body["harness"] = next(iter(forms)) if len(forms) == 1 else None
        with Client(url) as client:
            show_probe(probe := client.probes.import_scores(body), as_json=as_json)
    _say_next(probe.id, read, config)


def _asked(model: str | None, family: str | None, task: str | None, context: str | None) -> list[str]:
    """Return options as settings of fields."""
    given = {"model.name": model, "model.family": family, "task": task, "context.kind": context}
    if family is not None and model is None:
        refuse(["--family: belongs to --model. Name the model, or set model.family in the file."])
    return [f"{field}={value}" for field, value in given.items() if value is not None]


def _names(pairs: Sequence[str] | None) -> dict[str, str]:
    found = {}
    for pair in pairs or ():
        part, equals, name = pair.partition("=")
        if not equals or part not in PARTS or not name:
            refuse([f"--map: expected PART=NAME, PART one of {', '.join(PARTS)}, got {pair!r}."])
        found[part] = name
    return found


def _say_next(probe_id: str, read: Configuration, config: Path | None) -> None:
    file = config if config is not None and read.file != "standard input" else "run.yaml"
    say(f"To predict from it: gapcast predict {file} --set probe_id={probe_id}")
