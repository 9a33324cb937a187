"""A probe for people: the gap, what keeps it honest, and what it took."""

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.printing.lists import label
from gapcast.cli.terminal import console, print_json, print_panel
from gapcast.contract.probes import ImportedConfiguration
from gapcast.models import Controls, Estimate, Probe, ProbeFigures, ProbeResult
from gapcast.words import (
    STATES,
    arm_name,
    asked_about,
    between,
    duration,
    estimated,
    gpu_hours,
    log_ratio,
    pass_at_k,
    percent,
    plain_points,
    stopped,
    truncated,
    without_context,
)

FAR = 3
"""standard errors from 0 that make a control suspicious"""


def control_rows(controls: Controls, net_gap: Estimate | None) -> Iterator[tuple[str, str]]:
    """Yield the controls that tell a gap from an artefact, as rows of a table."""
    if net_gap is not None:
        yield "Net gap", f"{estimated(net_gap)}, self-teacher minus placebo"
    if controls.none is None and controls.placebo is None:
        return
    none = controls.none
    off = " [yellow]two samples of one prompt differ[/]" if none and abs(none.value) > FAR * none.se else ""
    yield "Controls", f"none (A/A): {estimated(none)}{off}"
    yield "", f"placebo: {estimated(controls.placebo)}{_helps(controls.placebo)}"
    if controls.shuffled_feedback is not None:
        found = controls.shuffled_feedback
        yield "", f"shuffled feedback: {estimated(found)}{_helps(found)}"
    if controls.leak is not None:
        leak = controls.leak
        copied = f"{percent(leak.copied)} of answers appear in their context"
        yield "", f"leak: {copied}, {percent(leak.contains_answer)} of contexts contain the right answer"


def _helps(control: Estimate | None) -> str:
    if control is None or control.value <= FAR * control.se:
        return ""
    return " [yellow]helps although it holds no information about the problem[/]"


def print_probe(console: Console, probe: Probe) -> None:
    """Print a probe that has ended, or what is known of one that has not succeeded."""
    found = probe.result or probe.partial
    if probe.result is None:
        message = f": {escape(probe.error.message)}" if probe.error is not None else ""
        state = f"[{'red' if probe.ended else 'cyan'}]{STATES[probe.status]}[/]"
        head = f"{probe.id}: " if found is None else ""  # else the panel names it
        console.print(f"{head}{state}{message}", highlight=False, soft_wrap=True)
    if found is None:
        for name, text in _asked(probe):
            console.print(f"[bold]{name}[/]: {text}", highlight=False, soft_wrap=True)
        console.print("Nothing was measured yet.", highlight=False)
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    asked = probe.configuration.problems
    for name, text in (*_asked(probe), *_rows(found, asked, whole=probe.result is not None)):
        table.add_row(name, text)
    if probe.samples is not None and probe.samples.count:
        table.add_row("Rollouts", f"{probe.samples.count} to read: gapcast probes samples {probe.id}")
    print_panel(console, table, probe.id)


def show_probe(probe: Probe, *, as_json: bool) -> None:
    """Print a probe for people, or as JSON."""
    if as_json:
        print_json(probe)
    else:
        print_probe(console, probe)


def _asked(probe: Probe) -> Iterator[tuple[str, str]]:
    asked = probe.configuration
    if isinstance(asked, ImportedConfiguration):
        yield "Imported", f"measured by {escape(asked.harness or 'another harness')}"
    yield "Asked", escape(asked_about(asked.model, asked.task, asked.context))
    if label(probe):
        yield "Name, tags", escape(label(probe))


def _rows(found: ProbeResult, asked: int, *, whole: bool) -> Iterator[tuple[str, str]]:
    gap = found.gap
    of = "" if whole else f" of {asked}"
    yield "Gap", f"[bold]{estimated(gap)}[/], {gap.problems}{of} problems x {gap.rollouts} rollouts"
    yield "", f"95 % interval: {between(*gap.interval)} points"
    yield "", f"student {percent(gap.student)}, self-teacher {percent(gap.self_teacher)}"
    yield from control_rows(found.controls, found.net_gap)
    yield from _context_rows(found)
    yield from _covariate_rows(found)
    yield "Truncated", f"at max_tokens: {truncated(found.arms)}"
    why = stopped(found.stopped_by, gap.problems, asked)
    if why is not None:
        yield "Stopped", why if found.stopped_by == "width" else f"[yellow]{why}[/]"
    yield from _cost_rows(found)


def _context_rows(found: ProbeResult) -> Iterator[tuple[str, str]]:
    """Which rollouts had no context to read, and why."""
    lines = []
    for name, arm in found.arms.items():
        if arm.contexts_missing and found.gap.problems:
            share = sum(arm.contexts_missing.values()) / (found.gap.problems * arm.rollouts)
            lines.append(f"{arm_name(name)}: missing in {without_context(share, arm.contexts_missing)}")
    for index, line in enumerate(lines or ["every rollout had one"]):
        yield "" if index else "Contexts", line


def _covariate_rows(found: ProbeFigures) -> Iterator[tuple[str, str]]:
    covariates = found.covariates
    if covariates is None:
        return
    yield "Headroom", f"{plain_points(covariates.headroom)} points above the student"
    yield "Pass@k", f"problems that the student solves: {pass_at_k(covariates.pass_at_k)}"
    ratio = covariates.log_ratio
    if ratio is not None:
        yield "Log-ratio", log_ratio(ratio)


def _cost_rows(found: ProbeFigures) -> Iterator[tuple[str, str]]:
    if found.seconds is not None:
        load, hours = found.seconds.load, gpu_hours(found.cost.gpu_hours if found.cost is not None else None)
        loading = f" and {duration(load)} to load the model" if load is not None else ""
        yield "Cost", f"{duration(found.seconds.probe)}{loading}{hours}"
    if found.cost is not None:
        cost = found.cost
        reused = f"{cost.rollouts_reused} reused from earlier probes" if cost.rollouts_reused else "none reused"
        tokens = f"{cost.prompt_tokens} tokens read, {cost.completion_tokens} written"
        yield "", f"{cost.rollouts_drawn} rollouts drawn, {reused}; {tokens}"
