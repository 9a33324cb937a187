"""A small world to build contexts in: problem i asks for i + i."""

from collections.abc import Sequence
from dataclasses import replace

from gapcast.contract.contexts import Context
from gapcast.contract.contexts import context_of as read_context
from workers.contexts import Attempt, BuiltContext, Material, build_context
from workers.tasks import Case, Problem, Split, Verdict


def problem(i: int, **changes: object) -> Problem:
    made = Problem(
        id=f"p{i}",
        split=Split.train,
        prompt=f"What is {i} + {i}?",
        answer=str(2 * i),
        reference_solution=f"Twice {i} is {2 * i}.",
        privileged_context=f"A calculator shows {2 * i}.",
        hints=(f"It is even ({i}).", f"It lies above {i}.", f"Half of it is {i}."),
    )
    return replace(made, **changes)


class Sums:
    name = "sums"
    max_tokens = 16
    preamble = "You are good at adding up numbers."
    revision = "sha256:0"
    slow = False

    def problems(self, split: Split) -> Sequence[Problem]:
        return [problem(i) for i in range(400)]

    def verify(self, asked: Problem, completion: str) -> Verdict:
        got = completion.split()[-1] if completion.split() else ""
        if got == asked.answer:
            return Verdict(1.0, f"{asked.id}: right")
        return Verdict(0.0, f"{asked.id}: wrong", (Case(asked.text, asked.answer or "", completion),))

    def hint_text(self, asked: Problem, level: int) -> str:
        return " ".join(asked.hints[:level])


TASK = Sums()


def material(i: int, *texts: str, place: int = 0, **changes: object) -> Material:
    """Problem i with attempts of these texts; `right` and `wrong` stand for a right and a wrong one."""
    asked = problem(i)
    texts = tuple({"right": f"It is {2 * i}", "wrong": f"It is {2 * i + 1}"}.get(text, text) for text in texts)
    attempts = tuple(Attempt(text, TASK.verify(asked, text.rpartition("</think>")[2])) for text in texts)
    return Material(replace(asked, **changes), attempts, place)


def context_of(kind: str, **options: object) -> Context:
    return read_context({"kind": kind, "options": options})


def build(
    context: Context, own: Material, donors: Sequence[Material] = (), seed: int = 1, draw: str = "a"
) -> BuiltContext:
    return build_context(context, TASK, own, donors, seed=seed, draw=draw)
