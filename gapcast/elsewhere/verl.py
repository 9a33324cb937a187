"""`python -m gapcast.elsewhere.verl`: a run that verl has trained becomes an observation, from its log."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gapcast.cli.printing.observations import print_batch
from gapcast.cli.terminal import (
    Url,
    check_share,
    check_width,
    console,
    exit_on_refusal,
    report_waits,
    row_refusals,
    say,
)
from gapcast.client import DEFAULT_URL, Client, GapcastError
from gapcast.elsewhere.rows import Row, Run, gap_of_probe, keep_row
from gapcast.elsewhere.verl_log import Validation, VerlLogError, first_and_last, read_log, read_scores


def row_of(
    run: Run,
    first: Validation,
    last: Validation,
    gap: Mapping[str, Any],
    *,
    problems: int | None = None,
    scores: tuple[Mapping[str, float], Mapping[str, float]] | None = None,
) -> Row:
    """The row of `POST /v1/observations`.

    Args:
        run: what was trained.
        first: before training.
        last: at the end.
        gap: value and standard error, measured before training.
        problems: of each validation; the standard error of the improvement is then assumed from their number.
        scores: in place of `problems`, every prompt's sum of scores at both: the standard error is measured.

    Raises:
        VerlLogError: neither or both are given, or the validations are not of the same problems.
    """
    if (problems is None) == (scores is None):
        raise VerlLogError("the log does not say how many problems there are: give --problems, or --generations")
    improvement: Row = {"rollouts": first.rollouts}
    if scores is None:
        improvement |= {"value": last.accuracy - first.accuracy, "problems": problems}
    else:
        before, after = scores
        if before.keys() != after.keys():
            raise VerlLogError(f"the problems of steps 0 and {last.step} are not the same")
        prompts = sorted(before)
        improvement |= {"before": [before[one] for one in prompts], "after": [after[one] for one in prompts]}
        improvement["problem_ids"] = [hashlib.sha256(one.encode()).hexdigest()[:16] for one in prompts]
    return run.row(
        baseline=first.accuracy,
        gap=gap,
        improvement=improvement,
        source="verl",
        provenance={"training": {"steps": last.step, "metric": first.name}},
    )


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    logs: Annotated[list[Path], typer.Argument(metavar="LOG...", help="The run's log; a resumed run has several.")],
    family: Annotated[str, typer.Option(help="The law's group, such as qwen3.")],
    task: Annotated[str, typer.Option(help="What it was trained on.")],
    model: Annotated[str, typer.Option(help="What was trained.")],
    context_kind: Annotated[str, typer.Option(help="How the self-teacher's context was built, such as feedback.")],
    gap: Annotated[float | None, typer.Option(callback=check_share, help="With --gap-se; or give --probe.")] = None,
    gap_se: Annotated[float | None, typer.Option(callback=check_width, help="Of the gap.")] = None,
    probe: Annotated[str | None, typer.Option(help="The probe of Gapcast's that has measured the gap.")] = None,
    problems: Annotated[int | None, typer.Option(min=2, help="Of a validation; or give --generations.")] = None,
    generations: Annotated[Path | None, typer.Option(help="The run's trainer.validation_data_dir.")] = None,
    metric: Annotated[str | None, typer.Option(help="A mean@N (default: the only val-core one).")] = None,
    step: Annotated[int | None, typer.Option(min=1, help="The run's end (default: the log's last step).")] = None,
    teacher: Annotated[str | None, typer.Option(help="frozen, ema, trust_region or live; with --divergence.")] = None,
    divergence: Annotated[str | None, typer.Option(help="forward_kl, reverse_kl or js; with --teacher.")] = None,
    parameters: Annotated[float | None, typer.Option(help="Number of weights, such as 8e9.")] = None,
    external_id: Annotated[str | None, typer.Option(help="Your name of the run (default: a hash of its log).")] = None,
    prediction: Annotated[str | None, typer.Option(help="The prediction whose outcome this is.")] = None,
    version: Annotated[str | None, typer.Option(help="Of code, template, evaluation; tested for drift.")] = None,
    collapsed: Annotated[bool, typer.Option("--collapsed", help="The run is known to have collapsed.")] = False,
    pool: Annotated[str | None, typer.Option(help="Where to (default: `default`).")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the row to this .json file and send nothing.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Store a run of verl's as an observation: the accuracies of its first and its last validation, and the gap.

    The law is about the problems that were trained on: data.val_files must hold these, sampled as in training.

    Exit codes: 0 it is stored (or written), 2 the log, an option or the server is wrong.
    """
    if (gap is None) == (probe is None) or (gap is None) != (gap_se is None):
        say("Give the gap: --gap with --gap-se, or --probe.")
        raise typer.Exit(2)
    report_waits()
    with exit_on_refusal(), Client(url) as client:
        log = read_log(logs, metric)
        first, last = first_and_last(log, step)
        scores = (read_scores(generations, first), read_scores(generations, last)) if generations else None
        said = {"teacher": teacher, "divergence": divergence}
        recipe = {name: value for name, value in said.items() if value}
        run = Run(
            family=family,
            task=task,
            model=model,
            context_kind=context_kind,
            recipe=recipe and recipe | {"steps": last.step},
            parameters=parameters,
            external_id=external_id or f"verl-{_hash(logs)}",
            prediction_id=prediction,
            version=version,
            pool=pool,
        )
        measured = gap_of_probe(client, probe) if probe else {"value": gap, "se": gap_se}
        row = row_of(run, first, last, measured, problems=problems, scores=scores)
        row |= {"collapsed": True} if collapsed else {}
        if out is not None:
            keep_row(row, out)
            console.print(f"Wrote {out}", highlight=False, markup=False, soft_wrap=True)
            return
        if prediction is not None:  # a mistyped one would be stored, and never meet its prediction
            client.predictions.get(prediction)
        try:
            batch = client.observations.create([row])
        except GapcastError as error:
            for line in row_refusals(error):
                say(line)
            raise typer.Exit(2) from error
    print_batch(console, batch)
    typer.echo(batch.ids[0])


def _hash(files: Sequence[Path]) -> str:
    found = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            hashlib.file_digest(content, lambda: found)
    return found.hexdigest()[:16]


if __name__ == "__main__":
    app()
