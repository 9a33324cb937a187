"""Observations, tasks and models as names and texts: the command line and the page both show these, and no others."""

import json
from collections.abc import Iterator

from gapcast.contract.catalog import Model, Task
from gapcast.contract.observations import ObservationOut
from gapcast.task_words import STATUSES, self_check
from gapcast.words import labels, measured, model_size, percent, when

UNKNOWN = "?"
KNOWN = {True: "yes", False: "no", None: UNKNOWN}


def remarks(one: ObservationOut) -> str:
    """Say what is unusual about an observation."""
    said = ["collapsed"] if one.collapsed else []
    said += [f"excluded: {one.excluded_reason}"] if one.excluded else []
    return "; ".join(said)


def observation(one: ObservationOut) -> Iterator[tuple[str, str]]:
    """Describe an observation, its figures in accuracy points."""
    rows = {
        "Pool": one.pool,
        "Family": one.family,
        "Model": one.model,
        "Task": one.task,
        "Context": one.context_kind,
        "Baseline": "" if one.baseline is None else percent(one.baseline),
        "Gap": f"{measured(one.gap)} points",
        "Improvement": "" if one.improvement is None else f"{measured(one.improvement)} points",
        "Held out": "" if one.held_out is None else f"{measured(one.held_out)} points",
        "Prediction": one.prediction_id or "",
        "External id": one.external_id or "",
        "Version": one.version or "",
        "Name, tags": labels(one.name, one.tags),
        "Source": one.source,
        "Remarks": remarks(one),
    }
    return ((name, text) for name, text in rows.items() if text)


def context_length(one: Model) -> str:
    """Write how many tokens a model takes."""
    return f"{one.context_length:,}" if one.context_length is not None else UNKNOWN


def weights(one: Model) -> str:
    """Write how many parameters a model has."""
    return model_size(one.parameters) if one.parameters is not None else UNKNOWN


def model(one: Model) -> Iterator[tuple[str, str]]:
    """Describe a model."""
    yield "Model", one.name
    yield "Family", one.family
    yield "Weights", weights(one)
    yield "Source", one.source
    yield "Context", f"{context_length(one)} tokens" if one.context_length is not None else UNKNOWN
    yield "Chat template", KNOWN[one.chat_template]
    yield "Thinking", KNOWN[one.thinking]
    yield "Revision", one.revision


def task(one: Task) -> Iterator[tuple[str, str]]:
    """Describe a task; a line that goes on with the one before has no name."""
    yield "Task", f"{one.name}, {one.revision}"
    options = {name: value for name, value in (one.verifier_options or {}).items() if value is not None}
    yield "Verifier", f"{one.verifier} {json.dumps(options)}" if options else one.verifier
    yield "Problems", f"{one.train_problems} to train and probe on, {one.held_out_problems} held out"
    fields = {
        "reference_solution": one.with_reference_solution,
        "privileged_context": one.with_privileged_context,
        f"hints (at most {one.hint_levels})": one.with_hints,
    }
    having = [f"{number} have {name}" for name, number in fields.items() if number]
    if having:
        yield "", f"of those to train and probe on, {', '.join(having)}"
    elif one.hint_levels:
        yield "", f"with hints (at most {one.hint_levels})"
    yield "Completions", f"at most {one.max_tokens} tokens, unless a configuration sets it"
    yield "Preamble", one.preamble
    if one.source == "upload":
        accepted = ", accepted whatever its self-check finds" if one.accepted else ""
        yield "Status", f"{STATUSES[one.status]}{accepted}"
    if one.self_check is not None:
        for number, line in enumerate(self_check(one.self_check)):
            yield "" if number else "Self-check", line
    if one.error is not None:
        yield "Self-check", f"did not run: {one.error.message}"
    if one.created_at is not None:
        yield "Stored", f"{when(one.created_at)} UTC"
