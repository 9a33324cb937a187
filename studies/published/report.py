"""What the published runs say: their own law, and how well it predicts those of them that are left out.

Run `python -m studies.published.report`: it prints the tables of docs/measurements.md.
"""

from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.special import logsumexp

from service.law import GapLaw, Observations, Probe, priors
from service.law.keys import Key, Rule
from service.law.links import LinkName
from service.law.models import candidates
from service.law.observations import TEACHERS
from studies.published.pairs import Pair, pairs

FROZEN = "arXiv 2602.12275"
"""eleven rows with a frozen teacher, four families"""
LINE, MIXTURE = ("linear",), tuple(link.value for link in LinkName)
WIDER = 0.05
"""of the population's intercept, beside the law's own .02"""


def about(rows: Sequence[Pair]) -> dict[str, Any]:
    """Return the columns that runs and probes both have."""
    return {
        "gap": [row.gap for row in rows],
        "gap_var": [row.gap_se**2 for row in rows],
        "improvement_var": [row.improvement_se**2 for row in rows],
        **{
            name: [getattr(row, name) for row in rows]
            for name in ("family", "cell", "teacher", "divergence", "baseline", "cov")
        },
    }


def observations(rows: Sequence[Pair]) -> Observations:
    """Rows as the law takes them."""
    return Observations(
        **about(rows),
        improvement=[row.improvement for row in rows],
        collapsed=[row.collapsed for row in rows],
        ids=[row.name for row in rows],
    )


def law_of(rows: Sequence[Pair], links: Sequence[str] = MIXTURE) -> GapLaw:
    """The law of these rows."""
    return GapLaw(candidate_links=tuple(links)).fit(observations(rows))


def borrowing(rows: Sequence[Pair]) -> GapLaw:
    """The law of an empty pool to which these rows are lent."""
    return GapLaw().fit(observations([]), lent=observations(rows))


def score(title: str, rows: Sequence[Pair], law_for: Callable[[Pair], GapLaw]) -> None:
    """Print how the measured improvements of rows lie in their predictions."""
    inside, widths, errors = {0.8: 0, 0.95: 0}, [], []
    for row in rows:
        out = law_for(row).predict_improvement(Probe(**about([row])))
        if out.refused[0]:
            continue
        for level in inside:
            lower, upper = (float(bound[0]) for bound in out.interval(level))
            inside[level] += lower <= row.improvement <= upper
        widths.append(upper - lower)
        errors.append(abs(float(out.mean[0]) - row.improvement))
    n, refused = len(widths), len(rows) - len(widths)
    print(
        f"| {title} | {n} | {inside[0.8]} | {inside[0.95]} | {100 * np.mean(errors):.1f} | {100 * np.mean(widths):.1f} "
        f"| ±{50 * np.mean(widths):.1f} | {refused} |"
    )


def others(row: Pair, rows: Sequence[Pair], *, family: bool = False) -> list[Pair]:
    """All rows without one of them, or without its family."""
    return [other for other in rows if (other.family != row.family if family else other is not row)]


def show_law(title: str, rows: Sequence[Pair], teacher: str) -> None:
    """Print the population's line, and those of the families."""
    law = law_of(rows)
    for family in ("", *sorted({row.family for row in rows if row.teacher == teacher})):
        found = law.coefficients(family, teacher=teacher)
        numbers = (f"{one.mean:.3f} ({one.lower:.3f} to {one.upper:.3f})" for one in (found.slope, found.intercept))
        at = found.improvement
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in found.links.items())
        n = sum(row.family == family and row.teacher == teacher for row in rows)
        print(
            f"| {title} | {family or 'a new family'} | {n or ''} | {' | '.join(numbers)} "
            f"| {100 * at.mean:+.1f} ({100 * at.lower:+.1f} to {100 * at.upper:+.1f}) | {weights} |"
        )


def evidence(rows: Sequence[Pair], links: Sequence[str], sd: float) -> float:
    """Log marginal likelihood of rows with a frozen teacher when the population's intercept has this spread."""
    with patch.object(priors, "INTERCEPT_SD", sd):
        pool = law_of(rows, links).state_.pools[Key(Rule.FROZEN, "any")]
        prior = candidates(links, Rule.FROZEN)
        return float(logsumexp([np.log(prior[one.model]) + one.log_evidence for one in pool.models]))


def coverage(row_set: dict[str, list[Pair]], every: dict[str, list[Pair]]) -> None:
    """Print left-out coverage of each set of rows, by its own pool and from an empty one that borrows."""
    print("| rows | predicted from | n | in 80 % | in 95 % | MAE, points | 95 % width | half | refused |")
    print("|---|---|---|---|---|---|---|---|---|")
    for title, rows in row_set.items():
        pool = every[title]
        score(f"{title} | the pool without the row", rows, lambda row, pool=pool: law_of(others(row, pool)))
        score(
            f"{title} | the pool without the family",
            rows,
            lambda row, pool=pool: law_of(others(row, pool, family=True)),
        )
        score(f"{title} | an empty pool", rows, lambda row: law_of([]))
        score(
            f"{title} | an empty pool, lent all but the row", rows, lambda row, pool=pool: borrowing(others(row, pool))
        )
        score(
            f"{title} | an empty pool, lent all but the family",
            rows,
            lambda row, pool=pool: borrowing(others(row, pool, family=True)),
        )


def main() -> None:
    """Print all tables."""
    known = [row for row in pairs() if row.teacher in TEACHERS and row.teacher != "live"]
    on = {target: [row for row in known if row.on == target] for target in ("train", "held_out")}
    frozen = [row for row in on["held_out"] if row.source.startswith(FROZEN) and row.teacher == "frozen"]
    print(f"{len(pairs())} rows; {len(pairs()) - len(known)} with a live teacher, which no other row can predict.\n")
    print("| on | family | n | slope at gap 0 | intercept | at gap 15, points | links |")
    print("|---|---|---|---|---|---|---|")
    show_law("held out, frozen", on["held_out"], "frozen")
    show_law("train, EMA", on["train"], "ema")
    print()
    titles = {"held out, frozen (2602.12275)": frozen, "held out, all": on["held_out"], "train": on["train"]}
    pools = {title: on["train"] if title == "train" else on["held_out"] for title in titles}
    coverage(titles, pools)
    print("\n| links | log evidence, mu0 ~ N(0, .02^2) | mu0 ~ N(0, .05^2) | difference |")
    print("|---|---|---|---|")
    for name, links in {"line": LINE, "mixture": MIXTURE}.items():
        own, wider = (evidence(frozen, links, sd) for sd in (priors.INTERCEPT_SD, WIDER))
        print(f"| {name} | {own:.2f} | {wider:.2f} | {wider - own:+.2f} |")


if __name__ == "__main__":
    main()
