"""`python -m workers.tasks.score`: scores outputs that somebody has, one JSON line an output, without a model.

`gapcast tasks score` starts it. It needs no torch; a verifier that needs more than the base install says so.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from gapcast.contract.faults import sentence, shown, unknown_field
from gapcast.contract.problems import ProblemIn, Verifier, VerifierOptions
from workers.failures import JobError
from workers.tasks.answers import answer_part
from workers.tasks.protocol import Problem, Split
from workers.tasks.verifiers import Verify, verifier

MOST_FAULTS = 20
"""lines whose faults are reported"""
OWN = ("completion", "label")
"""fields of a line beside a problem's"""
REFUSED, FAILED = 2, 1
"""exit codes: the file is wrong; it could not be scored here"""


class Fault(NamedTuple):
    """What is wrong with a line."""

    line: int
    message: str


class Output(NamedTuple):
    """One line: a problem, what somebody's model wrote, and the score that it should have."""

    line: int
    problem: Problem
    completion: str
    label: float | None


def read(lines: Iterator[str], spec: VerifierOptions) -> Iterator[Output | Fault]:
    """Read and check the lines of a file; empty ones are left out."""
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield Fault(number, f"expected a JSON object, got {shown(text.strip())} ({error}).")
            continue
        if not isinstance(row, dict):
            yield Fault(number, f"expected a JSON object, got {shown(row)}.")
            continue
        yield from _output(number, row, spec)


def _output(number: int, row: dict[str, Any], spec: VerifierOptions) -> Iterator[Output | Fault]:
    completion, label = (row.pop(name, None) for name in OWN)
    faults = []
    if not isinstance(completion, str):
        faults.append(f"completion: expected a text, the model's output, got {shown(completion)}.")
    if label is not None and not (isinstance(label, int | float) and 0 <= label <= 1):
        faults.append(f"label: expected a score from 0 to 1, true or false, got {shown(label)}.")
    known = {*ProblemIn.model_fields, *OWN}
    faults += [f"{name}: {unknown_field(name, known)}" for name in sorted(row.keys() - known)]
    try:
        # what was asked does not matter to any verifier
        fields = ProblemIn.model_validate({"prompt": "?", **row}) if not faults else None
    except ValidationError as error:
        fields = None
        faults += [f"{'.'.join(map(str, one['loc']))}: {sentence(one)}" for one in error.errors(include_url=False)]
    if fields is not None:
        if spec.needs is not None and getattr(fields, spec.needs) is None:
            faults.append(f"{spec.needs}: expected a value, got nothing. Add it.")
        elif fields.answer is not None and (wrong := spec.answer_fault(fields.answer)):
            faults.append(f"answer: {wrong}")
    if faults or fields is None:
        yield from (Fault(number, fault) for fault in faults)
        return
    problem = Problem(
        id=fields.id or f"line-{number}",
        split=Split(fields.split),
        prompt=fields.prompt if isinstance(fields.prompt, str) else tuple(one.model_dump() for one in fields.prompt),
        answer=fields.answer,
        tests=tuple(test if isinstance(test, str) else test.model_dump() for test in fields.tests or ()),
        fn_name=fields.fn_name,
        reference_solution=fields.reference_solution,
        privileged_context=fields.privileged_context,
        hints=tuple(fields.hints),
    )
    yield Output(number, problem, str(completion), None if label is None else float(label))


def scored(outputs: list[Output], verify: Verify, *, opened: bool, at_once: int) -> Iterator[dict[str, Any]]:
    """Yield each output's score, the answer that was read, the verifier's note, and the label, in order."""

    def one(output: Output) -> dict[str, Any]:
        verdict = verify(output.problem, answer_part(output.completion, opened=opened))
        return {
            **{"line": output.line, "id": output.problem.id, "score": verdict.score, "read": verdict.read},
            **{"note": verdict.note, "label": output.label},
        }

    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(one, outputs)


def main() -> None:
    """Print one JSON object a line: the scores, or the faults."""
    parser = argparse.ArgumentParser(prog="python -m workers.tasks.score", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--verifier", required=True, help="a verifier with its options, as JSON")
    parser.add_argument("--opened", action="store_true", help="the prompts opened a thinking part")
    asked = parser.parse_args()
    spec: VerifierOptions = TypeAdapter(Verifier).validate_json(asked.verifier)
    try:
        with asked.file.open(encoding="utf-8") as lines:
            rows = list(read(lines, spec))
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{asked.file}: {error.strerror if isinstance(error, OSError) else 'expected UTF-8.'}", REFUSED)
    faults = [row for row in rows if isinstance(row, Fault)]
    outputs = [row for row in rows if isinstance(row, Output)]
    if faults or not outputs:
        for fault in faults[:MOST_FAULTS]:
            _say({"error": f"{asked.file}: line {fault.line}, {fault.message}"})
        more = len(faults) - MOST_FAULTS
        _fail(f"And {more} more." if more > 0 else None if faults else f"{asked.file}: it has no outputs.", REFUSED)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        verify = verifier(spec)  # type: ignore[arg-type] # one of the union's
        for row in scored(outputs, verify, opened=asked.opened, at_once=processors if spec.starts_processes else 1):
            _say(row)
    except JobError as error:
        _fail(error.message, FAILED)
    except ModuleNotFoundError as error:
        _fail(f"This verifier needs {error.name}, which is not installed here: pip install 'gapcast[worker]'", FAILED)


def _say(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")


def _fail(message: str | None, code: int) -> None:
    if message is not None:
        _say({"error": message})
    sys.stdout.flush()
    sys.exit(code)


if __name__ == "__main__":
    main()
