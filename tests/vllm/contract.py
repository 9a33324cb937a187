"""What every engine must do (workers/engines/protocol.py), on a lab model in float32.

A test module inherits the classes and gives the fixtures `engine` and `chat_engine`; `reference` is the transformers
engine on the same model.
"""

import json
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from tests.vllm.models import SECOND_END
from workers.engines import Engine, Request, Sampling
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError
from workers.tasks import Split, load_task

PLAIN = Sampling(temperature=1.0, top_p=1.0, max_tokens=8)
HOT = Sampling(temperature=2.0, top_p=1.0, max_tokens=24)
GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=16)
TOLERANCE = 1e-4
"""Nats between the log-probabilities that two engines compute in float32."""


def requests_of(engine: Engine, count: int, n: int, first_seed: int = 0) -> list[Request]:
    """Problems of the lab's task as requests, each with a seed of its own."""
    problems = load_task("lab/addition").problems(Split.train)[:count]
    return [
        Request(engine.encode(str(problem.prompt)), n, first_seed + place) for place, problem in enumerate(problems)
    ]


def refusal(engine: Engine, *args: object, **options: object) -> str:
    with pytest.raises(JobError) as failure:
        engine.encode(*args, **options)  # type: ignore[arg-type]
    return failure.value.code


class EngineContract:
    """Sampling and scoring."""

    def test_same_seed_same_samples_other_seed_others(self, engine: Engine) -> None:
        first = engine.generate(requests_of(engine, 16, 2), PLAIN)
        assert engine.generate(requests_of(engine, 16, 2), PLAIN) == first
        assert engine.generate(requests_of(engine, 16, 2, first_seed=1000), PLAIN) != first

    def test_a_sample_does_not_depend_on_what_is_drawn_beside_it(self, engine: Engine) -> None:
        requests = requests_of(engine, 48, 3)
        together = engine.generate(requests, PLAIN)
        assert engine.generate(requests[::-1], PLAIN)[::-1] == together
        assert [engine.generate([request], PLAIN)[0] for request in requests[:6]] == together[:6]

    def test_more_samples_begin_with_the_fewer(self, engine: Engine) -> None:
        few, many = (engine.generate(requests_of(engine, 4, n), HOT) for n in (2, 5))
        assert [group[:2] for group in many] == few
        assert all(len(set(group)) > 1 for group in many)

    def test_neighbouring_seeds_share_no_samples(self, engine: Engine) -> None:
        tokens = engine.encode("123+456=")
        groups = engine.generate([Request(tokens, 4, seed) for seed in range(8)], HOT)
        # seeds 0 and 1 of a seed that samples count on from would leave 11 of these 32
        assert len({sample.token_ids for group in groups for sample in group}) > 20

    def test_log_probabilities_are_the_models_own(self, engine: Engine, reference: TransformersEngine) -> None:
        """Before temperature and top_p, as `score` gives them, and as transformers does."""
        requests = requests_of(engine, 32, 2)
        groups = engine.generate(requests, Sampling(0.7, 0.9, 8), logprobs=True)
        pairs = [
            (request.tokens, sample.token_ids)
            for request, group in zip(requests, groups, strict=True)
            for sample in group
        ]
        drawn = [sample.logprobs for group in groups for sample in group]
        for scores in (engine.score(pairs), reference.score(pairs)):
            assert [len(row) for row in scores] == [len(tokens) for _, tokens in pairs]
            for row, expected in zip(drawn, scores, strict=True):
                assert row == pytest.approx(expected, abs=TOLERANCE)

    def test_no_log_probabilities_where_none_are_asked_for(self, engine: Engine) -> None:
        assert engine.generate(requests_of(engine, 1, 1), PLAIN)[0][0].logprobs == ()

    def test_scores_a_completion_that_fills_the_context(self, engine: Engine, reference: TransformersEngine) -> None:
        prompt = engine.encode("1+" * 60)
        filling = engine.encode("2+" * 128)[: engine.context_length - len(prompt)]
        pairs = [(prompt, filling), (prompt, filling[:1])]
        for row, expected in zip(engine.score(pairs), reference.score(pairs), strict=True):
            assert row == pytest.approx(expected, abs=TOLERANCE)

    def test_greedy_answers_equal_those_of_transformers(self, engine: Engine, reference: TransformersEngine) -> None:
        requests = requests_of(engine, 512, 1)
        answers, expected = (
            [group[0].token_ids for group in each.generate(requests, GREEDY)] for each in (engine, reference)
        )
        assert len(answers) == 512
        assert answers == expected

    def test_greedy_samples_are_all_the_same(self, engine: Engine) -> None:
        group = engine.generate(requests_of(engine, 1, 3), GREEDY)[0]
        assert len(group) == 3
        assert len(set(group)) == 1

    def test_an_ended_completion_ends_with_the_end_of_text(self, engine: Engine) -> None:
        sample = engine.generate(requests_of(engine, 1, 1), GREEDY)[0][0]
        assert sample.token_ids[-1] == 0
        assert len(sample.text) == len(sample.token_ids) - 1
        assert not sample.truncated

    def test_truncation_is_said(self, engine: Engine) -> None:
        cut = Sampling(temperature=0.0, top_p=1.0, max_tokens=3)  # greedy answers have four digits
        for sample in engine.generate(requests_of(engine, 1, 8), cut)[0]:
            assert sample.truncated
            assert len(sample.token_ids) == 3 == len(sample.text)

    def test_a_stop_text_ends_a_completion_and_is_cut_off(self, engine: Engine) -> None:
        requests = requests_of(engine, 16, 4)
        whole = engine.generate(requests, PLAIN)
        stopped = engine.generate(requests, Sampling(1.0, 1.0, 8, stop=("5", "12")))
        cut = 0
        for before, after in zip(chain(*whole), chain(*stopped), strict=True):
            ends = [before.text.find(stop) for stop in ("5", "12") if stop in before.text]
            if not ends:
                assert after == before
                continue
            cut += 1
            assert after.text == before.text[: min(ends)]
            assert before.token_ids[: len(after.token_ids)] == after.token_ids
            assert len(after.text) < len(after.token_ids) <= len(after.text) + 2
            assert not after.truncated
        assert 10 < cut < 60

    def test_a_stop_text_at_the_last_token_is_no_truncation(self, engine: Engine) -> None:
        answer = engine.generate(requests_of(engine, 1, 1), GREEDY)[0][0].text
        sample = engine.generate(requests_of(engine, 1, 1), Sampling(0.0, 1.0, 4, stop=(answer[2:4],)))[0][0]
        assert (sample.text, sample.truncated) == (answer[:2], False)

    @pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.0, 0.8), (2.0, 0.8)])
    def test_first_tokens_are_distributed_as_the_softmax(
        self, engine: Engine, reference: TransformersEngine, temperature: float, top_p: float
    ) -> None:
        tokens = engine.encode("407+382=0")  # what follows is a digit that the model is not sure of
        with torch.inference_mode():
            logits = reference.model(input_ids=torch.tensor([tokens], device=reference.model.device)).logits[0, -1]
        p = (logits.double().cpu() / temperature).softmax(-1).numpy()
        order = np.argsort(-p)
        kept = order[np.cumsum(p[order]) - p[order] < top_p]
        expected = np.zeros_like(p)
        expected[kept] = p[kept] / p[kept].sum()
        requests = [Request(tokens, 8, seed) for seed in range(400)]
        groups = engine.generate(requests, Sampling(temperature, top_p, max_tokens=1))
        drawn = Counter(sample.token_ids[0] for group in groups for sample in group)
        assert set(drawn) <= set(kept.tolist())
        counts = np.array([drawn[token] for token in range(len(p))])
        often = expected * 3200 >= 5
        assert often.sum() >= 2  # or nothing would be compared
        observed, due = ([*values[often], values[~often].sum()] for values in (counts, expected * 3200))
        if due[-1] < 1:
            observed, due = observed[:-1], np.array(due[:-1]) * sum(observed[:-1]) / sum(due[:-1])
        assert chisquare(observed, due).pvalue > 1e-4

    def test_a_prompt_without_room_for_the_completion_is_refused(self, engine: Engine) -> None:
        tokens = engine.encode("1" * (engine.context_length - 4))
        four, five = (Sampling(temperature=1.0, top_p=1.0, max_tokens=count) for count in (4, 5))
        assert len(engine.generate([Request(tokens, 1, 0)], four)[0]) == 1
        with pytest.raises(JobError) as failure:
            engine.generate([Request(tokens, 1, 0)], five)
        assert failure.value.code == "context_too_long"

    def test_reports_every_sample_once(self, engine: Engine) -> None:
        reported: list[int] = []
        engine.generate(requests_of(engine, 150, 2), PLAIN, report=reported.append)
        assert sum(reported) == 300
        assert len(reported) > 1

    def test_nothing_asked_nothing_done(self, engine: Engine) -> None:
        assert engine.generate([], PLAIN) == []
        assert engine.score([]) == []

    def test_fingerprint_is_plain_and_stable(self, engine: Engine) -> None:
        fingerprint = engine.fingerprint()
        assert fingerprint["engine"]
        assert json.loads(json.dumps(fingerprint)) == fingerprint == engine.fingerprint()

    def test_a_model_without_chat_template_takes_texts_alone(self, engine: Engine) -> None:
        assert not engine.has_chat_template
        assert len(engine.encode("12+34=")) == 6
        assert refusal(engine, [{"role": "user", "content": "12+34="}]) == "no_chat_template"
        assert refusal(engine, "12+34=", thinking=True) == "thinking_not_supported"
        assert refusal(engine, "") == "empty_prompt"


class ChatContract:
    """Chats."""

    def test_a_text_is_one_user_message(self, chat_engine: Engine, reference: TransformersEngine) -> None:
        assert chat_engine.has_chat_template
        tokens = chat_engine.encode("12+34=?")
        assert tokens == chat_engine.encode([{"role": "user", "content": "12+34=?"}])
        assert reference.tokenizer.decode(tokens) == "[user] 12+34=?\n[assistant] "

    def test_messages_are_rendered_in_order(self, chat_engine: Engine, reference: TransformersEngine) -> None:
        chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}]
        rendered = reference.tokenizer.decode(chat_engine.encode(chat))
        assert rendered == "[system] Be brief.\n[user] 2+2?\n[assistant] "

    def test_thinking_is_asked_of_the_template(self, chat_engine: Engine, reference: TransformersEngine) -> None:
        tokens = chat_engine.encode("12+34=?", thinking=True)
        assert reference.tokenizer.decode(tokens) == "[user] 12+34=?\n[assistant] <think>"
        assert chat_engine.opens_thinking(thinking=True)
        assert not chat_engine.opens_thinking()

    def test_a_template_that_refuses_is_told(self, chat_engine: Engine) -> None:
        assert refusal(chat_engine, [{"role": "tool", "content": "4"}]) == "chat_template_failed"

    def test_every_end_token_ends_a_completion(self, chat_engine: Engine, reference: TransformersEngine) -> None:
        samples = chat_engine.generate([Request(tuple(reference.encode("351+226=0")), 64, 0)], PLAIN)[0]
        with_second = [sample for sample in samples if SECOND_END in sample.token_ids]
        assert len(with_second) > 8
        for sample in with_second:
            assert sample.token_ids.index(SECOND_END) == len(sample.token_ids) - 1
            assert not sample.truncated
