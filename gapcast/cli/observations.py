"""`gapcast observations`: past runs in and out of a server's store."""

import csv
from pathlib import Path
from typing import Annotated, Any

import typer

from gapcast.cli.importing import import_runs, refused, show_batch
from gapcast.cli.listing import (
    NAMED,
    OBSERVATIONS,
    PREDICTIONS,
    After,
    Limit,
    OfModel,
    OfName,
    OfPool,
    OfTags,
    OfTask,
    filters,
    id_of,
    show_list,
)
from gapcast.cli.printing.observations import print_observation, print_observations
from gapcast.cli.terminal import (
    AsJson,
    Name,
    Tags,
    Url,
    check_share,
    check_width,
    console,
    exit_on_refusal,
    print_json,
    refuse,
    row_refusals,
)
from gapcast.client import DEFAULT_URL, Client, GapcastError, InvalidRequest
from gapcast.client.fields import ObservationFilters, Order
from gapcast.client.files import Format, format_of
from gapcast.elsewhere.rows import Row
from gapcast.words import count

LONGEST = 200
"""characters of a name"""

app = typer.Typer(
    name="observations",
    no_args_is_help=True,
    help="Past runs that the law is fitted to: import, add, export, list, exclude, include.\n\n"
    "Gaps, improvements, accuracies and standard errors are shares: 0.21 is 21 accuracy points.",
)

Named = Annotated[
    str, typer.Argument(metavar="OBSERVATION", help=f"Its id: {NAMED}. Or your own: its external_id or its name.")
]
OfFamily = Annotated[str | None, typer.Option("--family", help="Only those of this family.")]
OfKind = Annotated[str | None, typer.Option("--context-kind", help="Only those of this context kind.")]
OfSource = Annotated[str | None, typer.Option("--source", help="Only those of this source alone, such as `import`.")]
OfVersion = Annotated[str | None, typer.Option("--version", help="Only those of this version.")]
OfExternalId = Annotated[str | None, typer.Option("--external-id", help="The run that you named so.")]
OfPrediction = Annotated[str | None, typer.Option("--prediction", help="Outcomes of this prediction.")]
Excluded = Annotated[bool | None, typer.Option("--excluded/--included", help="Only these (default: both).")]
Collapsed = Annotated[bool | None, typer.Option("--collapsed/--not-collapsed", help="Only these (default: both).")]


app.command("import")(import_runs)


SE_HELP = "Its standard error over problems, arms paired."


@app.command()
def add(
    family: Annotated[str, typer.Option(help="The law's group, such as qwen3.")],
    task: Annotated[str, typer.Option(help="What it was trained on.")],
    model: Annotated[str, typer.Option(help="What was trained.")],
    context_kind: Annotated[str, typer.Option(help="How the self-teacher's context was built, such as feedback.")],
    baseline: Annotated[float, typer.Option(callback=check_share, help="Student accuracy before training.")],
    gap: Annotated[
        float, typer.Option(callback=check_share, help="Self-teacher minus student accuracy before training.")
    ],
    improvement: Annotated[
        float, typer.Option(callback=check_share, help="Student accuracy at the last step minus before.")
    ],
    gap_se: Annotated[float | None, typer.Option(callback=check_width, help=SE_HELP)] = None,
    improvement_se: Annotated[float | None, typer.Option(callback=check_width, help=SE_HELP)] = None,
    problems: Annotated[int | None, typer.Option(help="In place of a standard error, with --rollouts.")] = None,
    rollouts: Annotated[int | None, typer.Option(help="Per problem and arm, with --problems.")] = None,
    cov: Annotated[float | None, typer.Option(callback=check_share, help="Covariance of both sampling errors.")] = None,
    teacher: Annotated[str | None, typer.Option(help="frozen, ema, trust_region or live; with --divergence.")] = None,
    divergence: Annotated[str | None, typer.Option(help="forward_kl, reverse_kl or js; with --teacher.")] = None,
    thinking: Annotated[
        bool | None, typer.Option("--thinking/--no-thinking", help="Measured in the thinking mode, or without it.")
    ] = None,
    parameters: Annotated[float | None, typer.Option(help="Number of weights, such as 8e9.")] = None,
    external_id: Annotated[
        str | None, typer.Option(help="Your name of the run; sent again, it is stored once.")
    ] = None,
    prediction: Annotated[str | None, typer.Option(help="The prediction whose outcome this is.")] = None,
    collapsed: Annotated[bool, typer.Option("--collapsed", help="The run is known to have collapsed.")] = False,
    version: Annotated[str | None, typer.Option(help="Of code, template, evaluation; tested for drift.")] = None,
    pool: Annotated[str | None, typer.Option(help="Where to (default: `default`).")] = None,
    name: Name = None,
    tag: Tags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Store one run.

    Gap and improvement need a standard error each. Where one is missing, it is assumed from --problems and --rollouts.
    """
    if (problems, rollouts) != (None, None) and None not in (gap_se, improvement_se):
        refuse(["--problems, --rollouts: they replace a missing standard error, but both are given. Leave them out."])

    def measured(value: float, se: float | None) -> Row:
        size = {"problems": problems, "rollouts": rollouts} if se is None else {"se": se}
        return _said(value=value, thinking=thinking, **size)

    row = _said(
        family=family,
        task=task,
        model=model,
        context_kind=context_kind,
        baseline=baseline,
        gap=measured(gap, gap_se),
        improvement=measured(improvement, improvement_se),
        cov=cov,
        recipe=_said(teacher=teacher, divergence=divergence) or None,
        parameters=parameters,
        external_id=external_id,
        prediction_id=prediction,
        collapsed=collapsed or None,  # the server's rule, as in a file
        version=version,
        name=name,
        tags=tag or None,
    )
    with exit_on_refusal(), Client(url) as client:
        if prediction is not None:  # a mistyped one would be stored, and never meet its prediction
            row["prediction_id"] = client.predictions.get(id_of(client, PREDICTIONS, prediction)).id
        try:
            batch = client.observations.create([row], pool=pool)
        except GapcastError as error:
            refused(error, [as_option(line) for line in row_refusals(error)])
    show_batch(batch, as_json)
    if not as_json:
        typer.echo(batch.ids[0])


def _said(**fields: Any) -> Row:  # noqa: ANN401
    return {name: value for name, value in fields.items() if value is not None}


def as_option(line: str) -> str:
    """`row 1, gap.se: ...` as `--gap-se: ...`, for who sent options and no row."""
    if line.startswith("pool: "):
        return f"--{line}"
    place, colon, message = line.partition(": ")
    row, comma, field = place.partition(", ")
    if not (colon and row == "row 1" and comma):
        return line
    name = field.removeprefix("recipe.").removesuffix(".value").replace("prediction_id", "prediction")
    if name.endswith((".problems", ".rollouts")):
        name = name.partition(".")[2]
    return f"--{name.replace('.', '-').replace('_', '-')}: {message}"


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to; what is there is replaced.")],
    form: Annotated[
        Format | None, typer.Option("--format", help="csv, ndjson, json or parquet (default: by the ending).")
    ] = None,
    pool: OfPool = None,
    family: OfFamily = None,
    task: OfTask = None,
    model: OfModel = None,
    context_kind: OfKind = None,
    source: OfSource = None,
    version: OfVersion = None,
    external_id: OfExternalId = None,
    prediction: OfPrediction = None,
    excluded: Excluded = None,
    collapsed: Collapsed = None,
    name: OfName = None,
    tag: OfTags = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Write stored runs to a file that can be imported again, to the same fit."""
    wanted = filters(
        tag,
        pool=pool,
        family=family,
        task=task,
        model=model,
        context_kind=context_kind,
        source=source,
        version=version,
        external_id=external_id,
        prediction_id=prediction,
        excluded=excluded,
        collapsed=collapsed,
        name=name,
    )
    with exit_on_refusal(), Client(url) as client:
        written = client.observations.export_file(file, format=form, **wanted)
        found = rows_in(written, form or format_of(file))
    console.print(f"Wrote {count(found, 'observation')} to {file}", highlight=False, markup=False, soft_wrap=True)


def rows_in(file: Path, form: Format) -> int:
    """How many rows an exported file holds; a server writes JSON with one row a line."""
    if form == "parquet":
        from pyarrow import parquet

        return int(parquet.read_metadata(file).num_rows)
    with file.open(encoding="utf-8", newline="") as lines:
        if form == "csv":
            return sum(1 for _ in csv.reader(lines)) - 1
        objects = sum(line.startswith("{") for line in lines)
    return objects - (form == "json")


@app.command("list")
def list_(
    limit: Limit = 20,
    after: After = None,
    oldest: Annotated[bool, typer.Option("--oldest-first", help="Oldest first (default: newest first).")] = False,
    pool: OfPool = None,
    family: OfFamily = None,
    task: OfTask = None,
    model: OfModel = None,
    context_kind: OfKind = None,
    source: OfSource = None,
    version: OfVersion = None,
    external_id: OfExternalId = None,
    prediction: OfPrediction = None,
    excluded: Excluded = None,
    collapsed: Collapsed = None,
    name: OfName = None,
    tag: OfTags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List stored runs, newest first; gaps and improvements in accuracy points with their standard errors."""
    wanted = filters(
        tag,
        pool=pool,
        family=family,
        task=task,
        model=model,
        context_kind=context_kind,
        source=source,
        version=version,
        external_id=external_id,
        prediction_id=prediction,
        excluded=excluded,
        collapsed=collapsed,
        name=name,
    )
    order: Order = "asc" if oldest else "desc"
    with exit_on_refusal(), Client(url) as client:
        show_list(
            "observations",
            limit,
            lambda size: client.observations.list(limit=size, after=after, order=order, **wanted),
            print_observations,
            as_json=as_json,
            client=client,
            wanted=wanted,
        )


def observation_of(client: Client, text: str) -> str:
    """Return the id of the only observation that people call so, else what `id_of` makes of the text.

    Raises:
        InvalidRequest: several are called so.
        GapcastError: as `id_of` does.
    """
    of_id, of_name = ObservationFilters(external_id=text), ObservationFilters(name=text)
    for called in (of_id, of_name) if len(text) <= LONGEST else ():
        found = client.observations.list(limit=2, **called).data
        if len(found) > 1:
            both = " and ".join(one.id for one in found)
            raise InvalidRequest(f"{text}: several observations are called so, such as {both}. Name one.", status=422)
        if found:
            return found[0].id
    return id_of(client, OBSERVATIONS, text)


@app.command()
def show(observation: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show one stored run."""
    with exit_on_refusal(), Client(url) as client:
        found = client.observations.get(observation_of(client, observation))
    if as_json:
        print_json(found)
    else:
        print_observation(console, found)


@app.command()
def exclude(
    observation: Named,
    reason: Annotated[str, typer.Option(help="Why; it is kept with it.")],
    url: Url = DEFAULT_URL,
) -> None:
    """Leave a run out of its pool's law from now on. Fits that were made stay as they are."""
    with exit_on_refusal(), Client(url) as client:
        shown = client.observations.exclude(observation_of(client, observation), reason)
    text = f"{shown.id} is excluded from the law of {shown.pool}: {shown.excluded_reason}"
    console.print(text, highlight=False, markup=False, soft_wrap=True)


@app.command()
def include(observation: Named, url: Url = DEFAULT_URL) -> None:
    """Let an excluded run count again in its pool's law."""
    with exit_on_refusal(), Client(url) as client:
        shown = client.observations.include(observation_of(client, observation))
    console.print(f"{shown.id} counts in the law of {shown.pool}.", highlight=False, markup=False, soft_wrap=True)
