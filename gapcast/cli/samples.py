"""`gapcast probes samples`: what student and self-teacher wrote, rollout by rollout."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from gapcast.cli.listing import NAMED, PROBES, filters, id_of, print_json_list
from gapcast.cli.printing.samples import print_pair, print_sample
from gapcast.cli.terminal import AsJson, Url, console, exit_on_refusal, print_json, refuse, say
from gapcast.client import DEFAULT_URL, Client
from gapcast.client.requests import MOST_A_PAGE
from gapcast.contract.samples import ArmName, Flip, SampleShape
from gapcast.models import Sample
from gapcast.sample_words import kept
from gapcast.words import count

Pair = tuple[Sample, Sample | None]
"""a rollout of the student, and the self-teacher's of the same number"""


def samples(
    probe: Annotated[str, typer.Argument(metavar="PROBE", help=f"Its id: {NAMED}.")],
    arm: Annotated[
        ArmName | None, typer.Option(help="Only this arm; `context` is the self-teacher (default: both side by side).")
    ] = None,
    flip: Annotated[
        Flip | None,
        typer.Option(help="gained: the student is wrong and the self-teacher right; lost: the reverse."),
    ] = None,
    min_score: Annotated[float | None, typer.Option(min=0, max=1, help="At least this score; 1: right ones.")] = None,
    max_score: Annotated[float | None, typer.Option(min=0, max=1, help="At most this score; 0: wrong ones.")] = None,
    problem: Annotated[str | None, typer.Option(help="Only this problem, by its id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many; two arms side by side are one.")] = 10,
    full: Annotated[bool, typer.Option("--full", help="Print long texts whole, as far as they are stored.")] = False,
    export: Annotated[
        SampleShape | None,
        typer.Option(help="Write a file of JSON lines: all of them, whatever --limit says; with --out."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; what is there is replaced.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show what the model wrote in a probe, first the rollouts where the self-teacher changes the result."""
    if (export is None) != (out is None):
        refuse(["--export: expected --out FILE beside it." if out is None else "--out: expected --export beside it."])
    wanted = filters(arm=arm, flip=flip, min_score=min_score, max_score=max_score, problem_id=problem)
    with exit_on_refusal(), Client(url) as client:
        probe_id = id_of(client, PROBES, probe)
        if export is not None and out is not None:
            client.probes.export_samples(probe_id, out, export, **wanted)
            with out.open("rb") as file:
                console.print(
                    f"Wrote {count(sum(1 for _ in file), 'line')} to {out}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
        elif as_json:
            found = list(
                islice(client.probes.samples(probe_id, limit=min(limit + 1, MOST_A_PAGE), **wanted), limit + 1)
            )
            print_json_list(found[:limit], found[:limit][-1].id if found else None, more=len(found) > limit)
        else:
            _show(client, probe_id, wanted, limit, full=full)


def _show(client: Client, probe_id: str, wanted: dict[str, Any], limit: int, *, full: bool) -> None:
    stored = client.probes.get(probe_id).samples
    if stored is not None:
        say(kept(stored))
    shown = 0
    narrowed = wanted.keys() & {"arm", "min_score", "max_score"}
    items: Iterator[Sample | Pair] = (
        iter(client.probes.samples(probe_id, **wanted)) if narrowed else _pairs(client, probe_id, wanted)
    )
    for item in islice(items, limit):
        if shown:
            console.print()
        shown += 1
        if isinstance(item, tuple):
            print_pair(console, *item, full=full)
        else:
            print_sample(console, item, full=full)
    if stored is not None and stored.count and not shown:
        say("None of them fits.")
    elif next(items, None) is not None:
        say(f"There are more: --limit {10 * limit}")


def _pairs(client: Client, probe_id: str, wanted: dict[str, Any]) -> Iterator[Pair]:
    """Yield the rollouts of student and self-teacher by their numbers: gained ones, lost ones, then all others."""
    if "flip" in wanted:
        yield from _paired(client.probes.samples(probe_id, **wanted))
        return
    for flip in ("gained", "lost"):
        yield from _paired(client.probes.samples(probe_id, **wanted, flip=flip))
    yield from _paired(one for one in client.probes.samples(probe_id, **wanted) if one.flip is None)


def _paired(found: Iterable[Sample]) -> Iterator[Pair]:
    """Put neighbours together; the student's rollout comes first."""
    student: Sample | None = None
    for one in chain(found, [None]):
        if one is not None and one.arm == "context" and student is not None:
            yield student, one
            student = None
        elif one is None or one.arm == "student":
            if student is not None:
                yield student, None
            student = one


def sample_storage(
    store: Annotated[
        bool | None, typer.Option("--on/--off", help="Store them from now on; or not, and delete what is stored.")
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show whether the rollouts of your probes are stored, or choose it."""
    with exit_on_refusal(), Client(url) as client:
        found = client.probes.sample_storage() if store is None else client.probes.set_sample_storage(store=store)
    if as_json:
        print_json(found)
        return
    state = "stored" if found.store and found.limits.count else "not stored"
    text = f"Rollouts are {state}. Stored now: {count(found.probes, 'probe')}, {found.bytes / 1e6:.1f} MB."
    console.print(text, highlight=False, markup=False, soft_wrap=True)
