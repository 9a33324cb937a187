"""Hints that the model extracts from a correct solution (context kind `hints`, source `model`)."""

import re
from collections.abc import Sequence
from dataclasses import replace

from gapcast.contract.contexts import Context, HintsContext
from workers.contexts.kinds import peer_solution
from workers.contexts.material import Material
from workers.contexts.prompts import require_fit
from workers.contexts.templates import EXTRACTION, EXTRACTION_STOP, Shape, fill
from workers.engines import Engine, Prompt, Request, Sampling
from workers.tasks import Problem, derive_seed
from workers.tasks.answers import answer_part, closes_thinking

HINT_TOKENS = 256
"""Room for three hints of some 60 words, which is what the prompt asks for; a quarter of the context of a model that
holds less than 1024 tokens, so that problem and solution keep the rest."""

WHOLE = re.compile(r"[^\n]*(?:\n|[.!?](?=\s|$))")
"""A whole line, or what of a line are whole sentences."""


def solution_to_extract_from(context: Context, material: Material) -> str | None:
    """The correct solution whose hints the context shows; null where there is none, or none are to be extracted."""
    content = context.content
    if not isinstance(content, HintsContext):
        return None
    if content.options.extract_from == "peer":
        return peer_solution(material, strip_thinking=True)
    return material.problem.reference_solution if content.options.extract_from == "reference" else None


def extraction_prompt(problem: Problem, solution: str, shape: Shape) -> Prompt:
    """Asks for hints that do not give away the final answer."""
    return fill(EXTRACTION[shape], problem=problem.text, solution=solution)


def clean_hints(text: str, *, truncated: bool, shape: Shape) -> str | None:
    """What the model wrote, without its thinking; null where nothing is left.

    A truncated text ends with its last whole sentence or line. Where a chat model's closes no thinking, it may be the
    thinking itself: templates of models that always think open it in the prompt, so that no tag shows it.
    """
    if truncated and shape == "chat" and not closes_thinking(text):
        return None
    hints = answer_part(text)
    if truncated:
        hints = "".join(WHOLE.findall(hints))
    return hints.strip() or None


def extract_hints(
    engine: Engine, context: Context, materials: Sequence[Material], sampling: Sampling, seed: int, shape: Shape
) -> list[Material]:
    """The materials with the hints that the context needs; unchanged where it needs none.

    Rollouts that are shown hints from the same solution share them: each solution is asked about once, with the
    decoding's temperature and top_p. The hints depend on the solution and the seed, not on what is asked beside it.

    Raises:
        JobError: `context_too_long`.
    """
    solutions = [solution_to_extract_from(context, material) for material in materials]
    most = min(HINT_TOKENS, engine.context_length // 4)
    requests: dict[tuple[str, str], Request] = {}
    for material, solution in zip(materials, solutions, strict=True):
        problem = material.problem
        if solution is None or (problem.id, solution) in requests:
            continue
        tokens = engine.encode(extraction_prompt(problem, solution, shape))
        require_fit(problem, len(tokens), most, engine.context_length)
        own_seed = derive_seed("hints", seed, problem.id, solution)
        requests[problem.id, solution] = Request(tokens, n=1, seed=own_seed)
    asking = replace(sampling, max_tokens=most, stop=EXTRACTION_STOP[shape])
    samples = engine.generate(list(requests.values()), asking) if requests else []
    hints = {
        key: clean_hints(sample.text, truncated=sample.truncated, shape=shape)
        for key, (sample,) in zip(requests, samples, strict=True)
    }
    return [
        material if solution is None else replace(material, hints=hints[material.problem.id, solution])
        for material, solution in zip(materials, solutions, strict=True)
    ]
