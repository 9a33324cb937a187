"""Small tables of HTML: a prediction, a comparison, a recommendation, a law."""

from collections.abc import Iterable, Sequence
from html import escape

from gapcast import comparison_words, recommendation_words, words
from gapcast.contract.comparisons import COMPARED_AT, ComparisonOut
from gapcast.contract.fits import Curve, FitOut
from gapcast.contract.predictions import Improvement, PredictionOut, Support
from gapcast.contract.recommendations import RecommendationOut

Row = Sequence[str]


def prediction_table(prediction: PredictionOut) -> str:
    """Return a prediction as an HTML table: its figures, or how far it is."""
    request = prediction.request
    rows = [
        (
            "Status",
            prediction.status if prediction.error is None else f"{prediction.status}: {prediction.error.message}",
        ),
        ("Configuration", f"{request.model.name}, {request.task}, context {words.context(request.context)}"),
    ]
    said = words.expected(prediction)
    if said is not None:
        rows.append(("Expected", said))
    if prediction.verdict is not None:
        advice = words.verdict(prediction.verdict, request.min_gain)
        rows.append(("Verdict", f"{advice.name}: {advice.reason}"))
    if prediction.gap is not None:
        rows.append(("Gap", words.estimated(prediction.gap)))
    if prediction.improvement is not None:
        rows += _improvement_rows(prediction.improvement, prediction.support)
    if prediction.law is not None:
        law = prediction.law
        rows.append(("Law", f"{law.family}: {words.summed_up(law, '95 % confidence ')}, {words.count(law.n, 'run')}"))
    rows += [("Warning", words.warning(warned)) for warned in prediction.warnings]
    return _table(prediction.id, rows)


def comparison_table(comparison: ComparisonOut) -> str:
    """Return a comparison as an HTML table, a row for each configuration, the best first."""
    heads = ("Configuration", "Predicted (points)", f"{words.level(COMPARED_AT)} interval", "P(best)", "Problems", "")
    rows: list[Row] = []
    for one in comparison.configurations:
        standing = one.standing
        if standing is None:
            rows.append((one.name, "", "", "", "", comparison.status))
            continue
        interval = standing.interval
        rows.append(
            (
                one.name,
                words.points(standing.value) if standing.value is not None else "none given",
                words.between(interval.lower, interval.upper) if interval is not None else "",
                words.probability(standing.p_best),
                f"{standing.problems:,}",
                comparison_words.stands(standing, comparison.rounds[-1]),
            )
        )
    return _table(" ".join([comparison.id, comparison_words.advised(comparison)]), rows, heads)


def recommendation_table(plan: RecommendationOut) -> str:
    """Return a recommendation as an HTML table, a row for each step of its plan."""
    rows = [
        (str(number), recommendation_words.step(plan, one), one.why, one.status)
        for number, one in enumerate(plan.plan, start=1)
    ]
    caption = " ".join([f"{plan.id}:", recommendation_words.worth(plan)])
    return _table(caption, rows, ("Step", "What", "Why", "Status"))


def fit_table(fit: FitOut) -> str:
    """Return a version of the law as an HTML table, a row for each family and recipe."""
    heads = ("Family", "Teacher, divergence", "Runs", "Improvement by gap (95 % confidence)", "Shape")
    rows = [
        (
            law.family,
            words.recipe(law),
            str(law.n),
            words.summed_up(law),
            words.link_weights(law.links),
        )
        for law in fit.families
    ]
    return _table(f"{fit.id}: pool {fit.pool}, {words.count(fit.n, 'run')}", rows, heads)


def curve_table(curve: Curve, most: int = 11) -> str:
    """Return a family's curve as an HTML table of at most so many gaps."""
    step = max(1, -(-(len(curve.gap) - 1) // (most - 1))) if curve.gap else 1
    rows = [
        (
            words.points(curve.gap[index]),
            words.points(curve.mean[index]),
            words.between(curve.prediction_lower[index], curve.prediction_upper[index]),
        )
        for index in range(0, len(curve.gap), step)
    ]
    heads = ("Gap (points)", "Improvement (points)", f"{words.level(curve.level)} of runs (points)")
    return _table(f"{curve.family}: {words.recipe(curve)}", rows, heads)


def _improvement_rows(improvement: Improvement, support: Support | None) -> list[tuple[str, str]]:
    if improvement.value is None:
        return [("Improvement", "none given")]
    rows = [("Improvement", f"{words.points(improvement.value)} points")]
    for interval in improvement.intervals:
        between = words.between(interval.lower, interval.upper)
        rows.append((f"{words.level(interval.level)} interval", f"{between} points"))
    return rows + words.chances(improvement, support)


def _table(caption: str, rows: Iterable[Row], heads: Row = ()) -> str:
    head = _line("th", heads) if heads else ""
    first = "td" if heads else "th"  # without heads the first column names the rows
    body = "".join(f"<tr>{_cells(first, row[:1])}{_cells('td', row[1:])}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption>{head}{body}</table>"


def _line(tag: str, cells: Row) -> str:
    return f"<tr>{_cells(tag, cells)}</tr>"


def _cells(tag: str, cells: Row) -> str:
    return "".join(f'<{tag} style="text-align: left">{escape(cell)}</{tag}>' for cell in cells)
