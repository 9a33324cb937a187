"""`gapcast law`: the newest version of a pool's law."""

from typing import Annotated

import typer

from gapcast.client import DEFAULT_URL, Client
from gapcast.law_printing import calibration, print_law
from gapcast.terminal import AsJson, Url, console, exit_on_refusal, print_json, say

MOST_OUTLIERS = 20
"""that are shown: who has more has another law"""


def law(
    pool: Annotated[str, typer.Option(help="Whose law; `lab` comes filled.")] = "default",
    family: Annotated[str | None, typer.Option(help="Of this family alone.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show the law of a pool: lines of its families, and what speaks against them.

    Slopes are improvement by gap; intercepts, gaps and improvements are in accuracy points.

    Exit codes: 0 shown, 2 the pool, the family or the server is wrong.
    """
    with exit_on_refusal(), Client(url) as client:
        fit = client.current_fit(pool)
        families = [line for line in fit.families if family in (None, line.family)]
        if family is not None and not families:
            others = ", ".join(line.family for line in fit.families) or "none"
            say(f"Pool {pool} holds no run of family {family!r}; families that it holds: {others}.")
            raise typer.Exit(2)
        outliers = client.residuals(fit.id, family=family, outliers=True, limit=MOST_OUTLIERS)
        scaling = client.scaling(fit.id)
        outcomes = client.calibration(fit.id)
    sizes = [one for one in scaling.families if family in (None, one.family)]
    if as_json:
        print_json(
            {
                "fit": fit.model_dump(mode="json") | {"families": [one.model_dump(mode="json") for one in families]},
                "outliers": [one.model_dump(mode="json") for one in outliers.data],
                "scaling": [one.model_dump(mode="json") for one in sizes],
                "calibration": outcomes.model_dump(mode="json"),
            }
        )
        return
    print_law(console, fit, families, outliers, [one for one in sizes if len(one.sizes) > 1])
    console.print(f"[bold]Calibration[/]  {calibration(outcomes)}", highlight=False, soft_wrap=True)
    if not fit.n:
        say(f"Pool {pool} holds no run yet: all that is shown is the prior. gapcast observations import FILE fills it.")
