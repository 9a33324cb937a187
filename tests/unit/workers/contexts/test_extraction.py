from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import pytest

from tests.unit.workers.contexts.sums import build, context_of, material, problem
from workers.contexts import Shape, clean_hints, extract_hints, extraction_prompt, solution_to_extract_from
from workers.engines import Prompt, Request, Sample, Sampling
from workers.failures import JobError

PEER = context_of("hints", source="model")
REFERENCE = context_of("hints", source="model", extract_from="reference")
SAMPLING = Sampling(temperature=0.6, top_p=0.9, max_tokens=4096, stop=("\n",))


@dataclass
class Scribe:
    """An engine of characters whose model writes the request's seed."""

    context_length: int = 4096
    has_chat_template: bool = True
    says: str = "<think>hm</think> Hint {seed}"
    truncated: bool = False
    asked: list[Request] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)

    def encode(self, prompt: Prompt, *, thinking: bool = False) -> tuple[int, ...]:
        assert not thinking
        return tuple(map(ord, str(prompt)))

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        logprobs: bool = False,
        report: Callable[[int], None] = print,
    ) -> list[list[Sample]]:
        self.asked += requests
        self.samplings.append(sampling)
        return [[Sample((1,), self.says.replace("{seed}", str(one.seed)), self.truncated)] * one.n for one in requests]


class TestSolution:
    def test_a_peers_without_its_thinking(self) -> None:
        own = material(3, "right", "wrong", "<think>3 and 3</think>Say 6")
        assert solution_to_extract_from(PEER, own) == "Say 6"
        assert solution_to_extract_from(PEER, replace(own, place=2)) == "It is 6"
        assert solution_to_extract_from(PEER, material(3, "right")) is None

    def test_the_reference(self) -> None:
        assert solution_to_extract_from(REFERENCE, material(3)) == "Twice 3 is 6."
        assert solution_to_extract_from(REFERENCE, material(3, reference_solution=None)) is None

    def test_the_placebos_too(self) -> None:
        assert solution_to_extract_from(REFERENCE.placebo(), material(3)) == "Twice 3 is 6."

    @pytest.mark.parametrize("kind", ["none", "hints", "reference_solution", "peer_solution", "all"])
    def test_others_extract_nothing(self, kind: str) -> None:
        assert solution_to_extract_from(context_of(kind), material(3, "wrong", "right")) is None


@pytest.mark.parametrize("shape", ["chat", "completion"])
def test_the_prompt_shows_problem_and_solution_and_forbids_the_answer(shape: str) -> None:
    asked = problem(3, prompt=({"role": "system", "content": "Add."}, {"role": "user", "content": "{solution}?"}))
    prompt = extraction_prompt(asked, "Say {problem}.", shape)
    assert "Add.\n\n{solution}?" in prompt
    assert "Say {problem}." in prompt
    assert "final answer" in prompt


@pytest.mark.parametrize(
    ("text", "hints"), [(" a\nb \n", "a\nb"), ("<think>x</think>a", "a"), ("<think>x", None), (" \n", None), ("", None)]
)
def test_clean_hints(text: str, hints: str | None) -> None:
    for shape in get_args(Shape):
        assert clean_hints(text, truncated=False, shape=shape) == hints


@pytest.mark.parametrize(
    ("text", "chat", "completion"),
    [
        ("Okay, the problem is\nto add. So 17 * 24 is", None, "Okay, the problem is\nto add."),
        ("<think>Okay.\nSo", None, None),
        ("Okay.</think>\nSplit 24. Then add", "Split 24.", "Split 24."),
        ("</think>- Split 24 into 20.4\n- Then ad", "- Split 24 into 20.4", "- Split 24 into 20.4"),
        ("</think>Split 24 into 20.", "Split 24 into 20.", "Split 24 into 20."),
        ("</think>Split 24 into 20.4", None, None),
        ("</think>", None, None),
    ],
)
def test_hints_that_were_cut_off(text: str, chat: str | None, completion: str | None) -> None:
    assert clean_hints(text, truncated=True, shape="chat") == chat
    assert clean_hints(text, truncated=True, shape="completion") == completion


class TestExtractHints:
    def test_each_solution_is_asked_about_once(self) -> None:
        engine = Scribe()
        group = [material(3, "right", "wrong", "Say 6", place=place) for place in range(3)]
        found = extract_hints(engine, PEER, [*group, material(4, "wrong", "wrong")], SAMPLING, 7, "chat")
        assert len(engine.asked) == 2  # of rollout 0: "Say 6"; of rollouts 1 and 2: "It is 6"
        assert found[0].hints != found[1].hints == found[2].hints
        assert found[3].hints is None
        assert [one.problem for one in found] == [problem(3)] * 3 + [problem(4)]
        assert build(PEER, found[0]).text == f"Hints: Hint {engine.asked[0].seed}"

    def test_hints_do_not_depend_on_what_is_asked_beside_them(self) -> None:
        one, other = material(3), material(4)
        both = extract_hints(Scribe(), REFERENCE, [one, other], SAMPLING, 7, "chat")
        alone = extract_hints(Scribe(), REFERENCE, [other], SAMPLING, 7, "chat")
        assert both[1] == alone[0]
        assert extract_hints(Scribe(), REFERENCE, [other], SAMPLING, 8, "chat") != alone

    def test_the_decodings_temperature_with_a_limit_of_its_own(self) -> None:
        for shape, stop in (("chat", ()), ("completion", ("\n\n",))):
            engine = Scribe()
            extract_hints(engine, REFERENCE, [material(3)], SAMPLING, 7, shape)
            assert engine.samplings == [Sampling(0.6, 0.9, 256, stop)]

    def test_a_small_context_gives_a_quarter_of_itself(self) -> None:
        engine = Scribe(context_length=256)
        extract_hints(engine, REFERENCE, [material(3)], SAMPLING, 7, "completion")
        assert engine.samplings[0].max_tokens == 64

    def test_a_model_that_writes_nothing(self) -> None:
        found = extract_hints(Scribe(says="<think>endless"), REFERENCE, [material(3)], SAMPLING, 7, "chat")
        assert build(REFERENCE, found[0]).reason == "no_hints"

    def test_a_model_whose_template_opens_its_thinking_and_that_does_not_end_it(self) -> None:
        thinks = Scribe(says="Okay, what is asked?\nSo the answer is 6.\nWait", truncated=True)
        found = extract_hints(thinks, REFERENCE, [material(3)], SAMPLING, 7, "chat")
        assert build(REFERENCE, found[0]).reason == "no_hints"

    @pytest.mark.parametrize("context", [context_of("hints"), context_of("all"), PEER])
    def test_nothing_to_extract_asks_nothing(self, context: object) -> None:
        engine, materials = Scribe(), [material(3, "right")]
        assert extract_hints(engine, context, materials, SAMPLING, 7, "chat") == materials
        assert not engine.samplings

    def test_a_prompt_that_does_not_fit_names_the_problem(self) -> None:
        with pytest.raises(JobError, match="p3") as failure:
            extract_hints(Scribe(context_length=300), REFERENCE, [material(3)], SAMPLING, 7, "chat")
        assert failure.value.code == "context_too_long"
