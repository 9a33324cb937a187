"""The scores of an evaluation by problem, read from what the program that made it writes; for `POST /v1/probes/import`.

Several files of one evaluation are its rollouts, in their order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from gapcast.elsewhere.scores.inspect_logs import inspect_rows
from gapcast.elsewhere.scores.lines import Form, Row, ScoresError, form_of
from gapcast.elsewhere.scores.lines import table_rows as _plain
from gapcast.elsewhere.scores.samples import lm_eval_rows, verifiers_rows, verl_rows

PARTS = ("problem", "score")
"""what `names` may map to a field"""
READERS: dict[Form, Callable[[Path, Mapping[str, str]], Iterable[Row]]] = {
    "csv": _plain,
    "jsonl": _plain,
    "verifiers": verifiers_rows,
    "inspect": inspect_rows,
    "lm-eval": lm_eval_rows,
    "verl": verl_rows,
}


def read_scores(
    files: Sequence[Path], form: Form | None = None, names: Mapping[str, str] | None = None
) -> dict[str, list[float]]:
    """Return the scores of each problem's rollouts, problems in their order of appearance.

    Args:
        files: of one evaluation.
        form: their format; None: recognized by their names and content.
        names: the field of `problem` and of `score`, where another than the usual one counts.

    Raises:
        ScoresError: a file does not hold scores; the message says where, and the way out.
        OSError: a file cannot be read.
    """
    found: dict[str, list[float]] = {}
    for file in files:
        before = sum(map(len, found.values()))
        for where, problem, score in READERS[form or form_of(file)](file, names or {}):
            found.setdefault(problem, []).append(_number(where, score))
        if sum(map(len, found.values())) == before:
            raise ScoresError(f"{file}: expected scores of problems, got none.")
    return found


def _number(where: str, score: object) -> float:
    """A score as a number; texts of tables and the letters of inspect-ai are ones, too."""
    if isinstance(score, str):
        text = score.strip()
        score = LETTERS.get(text.upper(), text)
    try:
        number = float(score)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ScoresError(
            f"{where}: expected a score from 0 to 1, got {str(score)[:60]!r}. Name another field with --map "
            "score=NAME, or run this problem again."
        ) from None
    if number != number:
        raise ScoresError(f"{where}: expected a score from 0 to 1, got NaN. Run this problem again.")
    return number


LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "TRUE": 1.0, "FALSE": 0.0, "YES": 1.0, "NO": 0.0}
"""of inspect-ai: correct, partial, incorrect, no answer; and words for true and false"""

__all__ = ["PARTS", "Form", "ScoresError", "form_of", "read_scores"]
