"""The law for people: one version of it as tables and sentences."""

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.terminal import print_table
from gapcast.models import Borrowed, Coefficients, ContextEffects, Drift, FamilyScaling, Fit, Residuals
from gapcast.words import (
    between,
    collapses,
    count,
    link_weights,
    model_size,
    plain_points,
    points,
    probability,
    recipe,
    run_name,
    shown_context,
    summed_up,
    when,
)

UNLIKELY = 0.05
"""p-value under which a reader is warned: the usual one in twenty"""
RULED_OUT = 0.05
"""weight under which a link is: another has more than .95"""


def print_law(console: Console, fit: Fit, unusual: Residuals, scaling: list[FamilyScaling]) -> None:
    """Print a fit: each family's law, diagnostics, slopes by size, unusual runs."""
    made = f"{count(fit.n, 'run')}, made {when(fit.created_at)} UTC"
    _print(console, f"[bold]{fit.id}[/]: pool {escape(fit.pool)}, {made}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Family, teacher, divergence", overflow="fold")
    table.add_column("Runs", justify="right")
    table.add_column("Status")
    table.add_column("Improvement by gap, points (95 % confidence)", no_wrap=True)
    for one in fit.families:
        table.add_row(f"{escape(one.family)}\n  {recipe(one)}", str(one.n), one.status, _law(one))
        for cell in fit.cells:
            if (cell.family, cell.teacher_rule, cell.divergence) == (one.family, one.teacher_rule, one.divergence):
                _, task, _, *tuning = cell.cell.split("|")
                table.add_row(f"  cell {escape(', '.join([task, *tuning]))}", str(cell.n), "", summed_up(cell))
    for one in fit.populations:
        table.add_row(f"[dim]a new family\n  {recipe(one)}[/]", "", one.status, _law(one))
    print_table(console, table)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("Collapses", collapses(fit.p_collapse))
    facts.add_row("Curvature", curvature(fit.curvature_p))
    shown = {one.family for one in fit.families}
    for index, text in enumerate(drift(fit.drift, shown)):
        facts.add_row("" if index else "Drift", text)
    if fit.borrowed is not None:
        facts.add_row("Borrowed", escape(borrowed(fit.borrowed)))
    for sizes in scaling:
        for index, text in enumerate(by_size(sizes)):
            facts.add_row("" if index else "Slope by size", text)
    print_table(console, facts, wraps=True)
    print_unusual(console, unusual)


def _print(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _law(of: Coefficients) -> str:
    """The improvements of a law, and how probable each shape is."""
    start = f", intercept {points(of.intercept)} ({between(*of.intercept_interval)})" if of.straight else ""
    return f"{summed_up(of)}{start}\n  {link_weights(of.links)}"


def borrowed(lent: Borrowed) -> str:
    """Name the families that other pools lend, and those that have runs here."""
    pools = ", ".join(one.pool for one in lent.pools)
    families = ", ".join(f"{name} ({count(n, 'run')})" for name, n in lent.families.items())
    kept = f"; not lent, as it has runs here: {', '.join(lent.own_rows_only)}" if lent.own_rows_only else ""
    return f"from {pools}, for families without runs here: {families or 'none'}{kept}"


def curvature(p_value: float | None) -> str:
    """The result of the test of a bend."""
    if p_value is None:
        return "no straight law with enough runs to test whether improvements bend down at large gaps"
    if p_value >= UNLIKELY:
        return f"p = {p_value:.3f}: no sign that improvements bend down at large gaps"
    return f"[yellow]p = {p_value:.3f}: improvements seem to bend down at large gaps; a line promises too much[/]"


def drift(found: list[Drift] | None, families: set[str]) -> list[str]:
    """The result of the test of each of these families' versions."""
    if found is None:
        return ["not tested: the pool is too large for it"]
    ours = [one for one in found if one.family in families]
    if not ours:
        return ["nothing to test: no family has runs of several versions"]
    lines = []
    for one in ours:
        versions = ", ".join(f"{name or 'no version'}: {n}" for name, n in one.versions.items())
        text = f"{one.family}: log Bayes factor {one.log_bayes_factor:.1f} between its versions ({versions})"
        lines.append(f"[red]ALARM[/] {escape(text)}" if one.alarm else f"none in {escape(text)}")
    return lines


def by_size(found: FamilyScaling) -> Iterator[str]:
    """The slope of each size of a family, and whether they share one."""
    whose = f"{escape(found.family)} ({recipe(found)})"
    if found.linear_weight < RULED_OUT:
        yield f"[yellow]{whose}: improvements saturate, which a slope describes badly[/]"
    for one in found.sizes:
        interval = f"({one.lower:.2f} to {one.upper:.2f})"
        yield f"{whose} {model_size(one.parameters)}: {one.slope:.2f} {interval}, {count(one.n, 'run')}"
    if found.homogeneity is not None:
        p_value = found.homogeneity.p_value
        differ = "[yellow]they seem to differ[/]" if p_value < UNLIKELY else "no sign that they differ"
        yield f"one slope for these sizes? p = {p_value:.3f}: {differ}"
    if found.trend is not None:
        trend = found.trend
        interval = f"(95 % confidence {trend.lower:+.2f} to {trend.upper:+.2f})"
        yield f"{trend.per_tenfold:+.2f} for ten times the parameters {interval}"


def print_unusual(console: Console, found: Residuals) -> None:
    """Print the runs that are far off the law, with what the others say of them."""
    if not found.data:
        _print(console, "[bold]Unusual runs[/]  none")
        return
    _print(
        console,
        "[bold]Unusual runs[/]  2.8 standard deviations off the law or more; look at them before you exclude one:",
    )
    print_residuals(console, found)
    if found.has_more:
        _print(console, f"The newest {len(found.data)} are shown, of {found.unusual} in the whole pool.")


def print_residuals(console: Console, found: Residuals) -> None:
    """Print runs against what the others predict for them."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Observation", "Your name", "Family", "Model", "Context"):
        table.add_column(name, no_wrap=name == "Observation", overflow="fold")
    for name in ("Gap", "Improvement", "Expected", "Off by, SD", "P(belongs)"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found.data:
        texts = (escape(run_name(one.name, one.external_id)), escape(one.family), escape(one.model), one.context_kind)
        numbers = (points(one.gap), points(one.improvement), points(one.expected))
        table.add_row(one.id, *texts, *numbers, f"{one.standardized:+.1f}", probability(one.weight))
    print_table(console, table)


def print_contexts(console: Console, found: ContextEffects) -> None:
    """Print how much contexts of one gap differ, and the effect of each with stored runs, in accuracy points."""
    for one in found.spread:
        between_them = f"{plain_points(one.contexts_sd)} points ({between(*one.contexts_sd_interval)}, 95 % confidence)"
        text = between_them if one.contexts_sd else "unknown: no two runs share a context"
        _print(console, f"[bold]{recipe(one)}[/]: contexts of one gap differ by {text}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Family", "Context", "Model"):
        table.add_column(name, overflow="fold")
    for name in ("Runs", "Effect, points (95 % confidence)"):
        table.add_column(name, justify="right", no_wrap=True)
    for effect in sorted(found.data, key=lambda one: (one.family, one.context, one.model or "")):
        texts = (effect.family, shown_context(effect.context), effect.model or "all")
        number = f"{points(effect.effect)} ({between(*effect.effect_interval)})"
        table.add_row(*map(escape, texts), str(effect.n), number)
    print_table(console, table)
