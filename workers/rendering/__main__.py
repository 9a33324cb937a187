"""`python -m workers.rendering`: renders the prompts of student and self-teacher for one problem, as a probe would.

It reads one JSON object from standard input: `request` (a probe's), `problem` (an id) and `attempts` (texts of the
student: the rollout's own, then its peers). It uses this machine's settings as a worker does, so it sees the server's
database, models and tasks. It loads the tokenizer and no weights. One line of JSON comes out: `{"result": {...}}`,
`{"refused": {...}}` (what a server would have answered) or `{"error": {...}}`.
"""

import json
import sys
from collections.abc import Sequence
from itertools import islice

from pydantic import ValidationError

from gapcast.contract.base import JsonObject
from gapcast.contract.probes import ProbeConfiguration, ProbeRequest
from service.kit.database import Database
from service.kit.errors import GapcastError, InvalidRequest
from service.kit.problems import field_problems
from service.loading import load
from service.probes.configuring import configure
from service.settings import Settings
from workers.contexts import (
    Attempt,
    Material,
    build_context,
    student_prompt,
    teacher_prompt,
)
from workers.contexts.extraction import solution_to_extract_from
from workers.contexts.templates import Shape
from workers.engines import checked_folder
from workers.engines.prompts import PromptEncoder
from workers.failures import JobError
from workers.host.child_process import Failed
from workers.host.preparing import places
from workers.resources import Resources
from workers.tasks import Problem, Split, Task, load_task
from workers.tasks.answers import answer_part

TENANT = "local"
DONORS = 64
"""other problems of which a wrong context may be made; a probe takes them from those that it draws"""


def main() -> int:
    """Render, or say why not."""
    asked = json.loads(sys.stdin.read())
    try:
        said = {"result": rendered(asked["request"], asked["problem"], asked["attempts"])}
    except GapcastError as error:
        errors = [row.model_dump(mode="json") for row in error.errors]
        said = {"refused": {"detail": error.detail, "errors": errors}}
    except Failed as error:
        said = {"error": error.error}
    except JobError as error:
        said = {"error": error.as_dict()}
    sys.stdout.write(json.dumps(said) + "\n")
    return 0 if "result" in said else 1


def rendered(body: JsonObject, problem_id: str, attempts: Sequence[str]) -> JsonObject:
    """Render both prompts of one problem.

    Raises:
        GapcastError: a server would refuse the request, or there is no such problem.
        Failed, JobError: a worker on this machine could not measure it.
    """
    settings = load()
    configuration, resources = _prepared(body, settings)
    task = load_task(configuration.task, configuration.task_revision, resources.task_folder)
    problem = _problem(task, problem_id)
    encoder = PromptEncoder(_tokenizer(resources, configuration))
    shape: Shape = "chat" if encoder.has_chat_template else "completion"
    group = tuple(Attempt(text, task.verify(problem, answer_part(text))) for text in attempts)
    material = Material(problem, group)
    if solution_to_extract_from(configuration.context, material) is not None:
        message = "These hints are written by the model while it is measured, so they cannot be shown before."
        raise JobError("hints_by_the_model", message, "context.options.source")
    others = (one for one in task.problems(Split.train) if one.id != problem.id)
    donors = [Material(one, (Attempt("", task.verify(one, "")),)) for one in islice(others, DONORS)]
    built = build_context(configuration.context, task, material, donors, seed=configuration.seed, draw="context-0")
    prompts = {"student": student_prompt(problem), "teacher": teacher_prompt(problem, built, shape)}
    result: JsonObject = {"reason": built.reason, "corrupted": built.corrupted}
    for axis in ("student", "teacher"):
        thinking = configuration.decoding.of(axis).thinking
        tokens = encoder.encode(prompts[axis], thinking=thinking)
        result[axis] = {"text": encoder.text(prompts[axis], thinking=thinking), "tokens": len(tokens)}
    return result


def _prepared(body: JsonObject, settings: Settings) -> tuple[ProbeConfiguration, Resources]:
    try:
        request = ProbeRequest.model_validate(body)
    except ValidationError as error:
        rows = field_problems(error.errors())
        raise InvalidRequest(" ".join(row.with_value for row in rows[:3]), errors=rows) from None
    database = Database(settings.database_url)
    with database.read() as session:
        found = configure(
            session,
            TENANT,
            settings.models,
            model=request.model,
            task=request.task,
            context=request.context,
            decoding=request.decoding,
            size=request.probe,
            group_size=request.group_size,
            target_se=None,
        ).configuration
        where = places(session, TENANT, found.model_dump(mode="json"), settings, "this machine")
    return found, Resources.read(found.model, where)


def _problem(task: Task, problem_id: str) -> Problem:
    for split in Split:
        for one in task.problems(split):
            if one.id == problem_id:
                return one
    first = ", ".join(one.id for one in islice(task.problems(Split.train), 3))
    raise InvalidRequest(
        f"problem: expected the id of a problem of {task.name}, such as {first}, got {problem_id[:80]!r}.",
        param="problem",
    )


def _tokenizer(resources: Resources, configuration: ProbeConfiguration) -> object:
    import transformers

    if resources.source.url is not None:
        message = (
            f"The template of {configuration.model} is its server's, which shows no prompt. Name a model in a folder."
        )
        raise JobError("rendered_by_server", message, "model")
    folder = checked_folder(resources.source, configuration.model_revision)
    return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


if __name__ == "__main__":
    sys.exit(main())
