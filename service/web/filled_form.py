"""The form with a configuration in it, so that it can be varied and asked again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gapcast.contract.contexts import KINDS
from gapcast.contract.training import USUAL_PROBLEMS
from service.web import form
from service.web.form import Choices, Control, Field

Body = Mapping[str, Any]
"""A request as JSON has it, which may lack something or have it wrong."""
OPTIONS = "context.options."
USUAL_KIND = "hints"
GROUPS: Mapping[str, Sequence[Field]] = {
    "context_options": form.CONTEXT_OPTIONS,
    "probe": form.PROBE,
    "probe_end": form.PROBE_END,
    "decoding": form.DECODING,
    "recipe": [*form.RECIPE, *form.TRAINING],
}
"""the fields by the parts of the form"""


def path_of(name: str, kind: str) -> str:
    """Return where an input's value stands in a body: what a control does not take itself is an option of its `of`."""
    own = KINDS[kind].options_class().model_fields if kind in KINDS else {}
    is_inner = name.startswith(OPTIONS) and "of" in own and name.split(".")[2] not in own
    return name.replace(OPTIONS, f"{OPTIONS}options.") if is_inner else name


def filled(offered: Choices, pool: str, like: Body | None) -> dict[str, Any]:
    """Return what the form's template shows.

    Args:
        offered: what can be chosen.
        pool: the observations to predict from.
        like: the body of a request that the form begins with; None: the defaults.
    """
    context: dict[str, Any] = {"offered": offered, "pool": pool, "chosen": {"context.kind": USUAL_KIND}}
    if like is None:
        return context | dict(GROUPS) | {"controls": form.CONTROLS}
    value = _values(like, _usual(offered, like))
    chosen = {name: value(name) for name in ("model.name", "task", "context.kind")}
    groups = {name: [_field(one, value(one.name)) for one in fields] for name, fields in GROUPS.items()}
    run = value("probe.controls") or []
    controls: list[Control] = [replace(one, checked=one.name in run) for one in form.CONTROLS]
    return context | groups | {"chosen": chosen, "controls": controls}


def _usual(offered: Choices, like: Body) -> Mapping[str, Any]:
    """What the task makes of an empty input: it stays empty, as another task makes something else of it."""
    task = next((one for one in offered.tasks if one.value == like.get("task")), None)
    if task is None:
        return {}
    problems = min(USUAL_PROBLEMS, int(task.data["problems"]))
    return {
        "decoding.max_tokens": int(task.data["tokens"].replace(",", "")),
        **dict.fromkeys(("training.problems", "training.evaluation_problems"), problems),
    }


def _values(like: Body, usual: Mapping[str, Any]) -> Callable[[str], Any]:
    kind = like.get("context", {}).get("kind", "")

    def value(name: str) -> Any:  # noqa: ANN401
        found: Any = like
        for part in path_of(name, kind).split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return None if name in usual and found == usual[name] else found

    return value


def _field(one: Field, value: Any) -> Field:  # noqa: ANN401
    if one.checkbox:
        return replace(one, checked=one.checked if value is None else bool(value))
    if isinstance(value, float):
        return replace(one, value=f"{value * one.scale:.12g}")
    if value is None:  # of another kind, or nothing was asked for
        return one if one.name.startswith(OPTIONS) else replace(one, value="")
    return replace(one, value=str(value))
