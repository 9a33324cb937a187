"""A rollout's answer depends on whether its prompt has opened the thinking."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from gapcast.contract.problems import NumericVerifier
from workers.engines import Engine, Sample, Sampling
from workers.sampling.arms import Sampler
from workers.tasks import Problem, Split, Task, Verdict
from workers.tasks.verifiers import verifier


@dataclass
class Opening:
    """An engine whose template opens the thinking, or not."""

    opens: bool
    has_chat_template: bool = True

    def opens_thinking(self, *, thinking: bool = False) -> bool:
        return self.opens


class Numbers:
    def verify(self, problem: Problem, completion: str) -> Verdict:
        return verifier(NumericVerifier())(problem, completion)


def score(text: str, engine: Opening, *, prompt: str = "?", thinking: bool = False, truncated: bool = False) -> float:
    sampler = Sampler(cast(Engine, engine), cast(Task, Numbers()), Sampling(1.0, 1.0, 8), 0, thinking)
    problem = Problem(id="p", split=Split.train, prompt=prompt, answer="42")
    return sampler.verify(problem, Sample((), text, truncated)).score


@pytest.mark.parametrize(
    ("text", "opens", "options", "right"),
    [
        ("Maybe it is 42. But wait, let me", True, {"truncated": True}, 0),
        ("Maybe it is 42.", True, {}, 0),
        ("Maybe.</think>42", True, {}, 1),
        ("42", False, {"thinking": True}, 1),
        ("Maybe it is 42", False, {"thinking": True, "truncated": True}, 0),
        ("It is 42, and", False, {"truncated": True}, 1),
        ("<think>Maybe it is 42", False, {"thinking": True, "truncated": True}, 0),
    ],
)
def test_with_a_chat_template(text: str, opens: bool, options: dict[str, Any], right: float) -> None:
    assert score(text, Opening(opens), **options) == right


def test_a_prompt_without_a_template_opens_it_by_itself() -> None:
    engine = Opening(opens=False, has_chat_template=False)
    assert score("Maybe it is 42.", engine, prompt="Q\n<think>\n") == 0
    assert score("Maybe it is 42.", engine, prompt="Q\n") == 1
