"""Rollouts from an OpenAI-compatible vLLM server that somebody else runs."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property
from typing import Any

from gapcast.contract.base import JsonObject
from gapcast.contract.measured import ModelOptions
from workers.engines.failures import require_finite
from workers.engines.http import IN_FLIGHT, Server, incompatible
from workers.engines.prompts import (
    chat_template_failed,
    empty_prompt,
    messages_of,
    no_chat_template,
    require_room,
    thinking_not_supported,
)
from workers.engines.protocol import Prompt, Request, Sample, Sampling
from workers.engines.source import ModelSource
from workers.engines.vllm_ways import base_seed, require_temperature
from workers.failures import JobError
from workers.tasks.answers import opens_thinking

NO_TEMPLATE = "provide a chat template"
"""What vLLM's refusal of a chat speaks of where the model has no template."""

PLAIN: JsonObject = {
    # a server fills what is left open with the model's own sampling defaults (--generation-config auto)
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "return_token_ids": True,
}

PROMPT_END = 16
"""Tokens at a prompt's end that become text, to see whether they open a thinking part: a tag has at most ten."""
FLOOR = -9999.0
"""What vLLM's server tells in the place of an infinite log-probability."""

DTYPE = "the server's dtype"

SAME = 0.5
"""Nats between two log-probabilities of one token in 16 bits; a temperature of 2 moves them by more."""


class ServerEngine:
    """Implements `workers.engines.protocol.Engine` with `/tokenize` and `/v1/completions` of vLLM.

    The server's precision, quantization and context are its own: nothing of `ModelOptions` reaches it but
    `max_model_len`, which may lower the context.
    """

    def __init__(self, server: Server, card: JsonObject, version: str, max_model_len: int | None) -> None:
        self._server = server
        self._card = card
        self._version = version
        served = int(card["max_model_len"])
        self.context_length = min(served, max_model_len or served)
        self.has_chat_template = self._find_chat_template()
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="rollouts")

    @classmethod
    def connect(cls, source: ModelSource, options: ModelOptions) -> "ServerEngine":
        """Finds the model on its server, and tries whether the server can do all that is needed.

        Raises:
            JobError: `server_unreachable`, `server_refused`, `model_not_found` or `engine_incompatible`.
        """
        server = Server(source)
        cards = server.get(f"{server.url}/models").get("data", [])
        card = next((card for card in cards if card.get("id") == server.model), None)
        if card is None:
            served = ", ".join(repr(card.get("id")) for card in cards)[:200]
            raise JobError("model_not_found", f"The server serves {served}, not {server.model!r}.", "model")
        if not card.get("max_model_len"):
            raise incompatible("it does not tell the model's max_model_len, as vLLM does")
        try:
            version = str(server.get(f"{server.root}/version").get("version"))
        except JobError as error:
            raise incompatible(f"it is not vLLM ({error.message})") from error
        engine = cls(server, card, version, options.max_model_len)
        engine._check()
        return engine

    def encode(self, prompt: Prompt, *, thinking: bool = False) -> tuple[int, ...]:
        """The tokens of a prompt (`Engine.encode`), by the server's own tokenizer."""
        if not self.has_chat_template:
            if not isinstance(prompt, str):
                raise no_chat_template()
            if thinking:
                raise thinking_not_supported()
            tokens = self._tokenize({"prompt": prompt})
        else:
            if thinking and not self._has_thinking:
                raise thinking_not_supported()
            tokens = self._chat(prompt, thinking)
        if not tokens:
            raise empty_prompt()
        return tokens

    def opens_thinking(self, *, thinking: bool = False) -> bool:
        """True if the template's prompts end inside a thinking part (`Engine.opens_thinking`), by the server's words.

        Raises:
            JobError: `engine_incompatible` where the server cannot turn tokens into text.
        """
        if not self.has_chat_template:
            return False
        tokens = self._chat("1+1=?", thinking)[-PROMPT_END:]
        text = self._server.post(f"{self._server.root}/detokenize", {"tokens": list(tokens)}).get("prompt")
        if not isinstance(text, str):
            raise incompatible("its /detokenize gives no text, as vLLM's does")
        return opens_thinking(text)

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        logprobs: bool = False,
        report: Callable[[int], None] = lambda samples: None,
    ) -> list[list[Sample]]:
        """Fresh samples of every request (`Engine.generate`); what runs beside a request changes rounding alone."""
        require_room(requests, sampling, self.context_length)
        require_temperature(sampling)
        greedy = sampling.temperature == 0
        bodies = [
            {
                "prompt": list(request.tokens),
                "n": 1 if greedy else request.n,  # n greedy samples are one
                "seed": base_seed(request.seed),
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_tokens,
                "stop": list(sampling.stop),
                # of the first in any case: damaged weights are seen there
                "logprobs": 0 if logprobs or place == 0 else None,
            }
            for place, request in enumerate(requests)
        ]
        choices = self._complete(bodies, lambda index: report(requests[index].n))
        if choices:
            require_finite((_sample(choice, logprobs=True).logprobs for choice in choices[0]), DTYPE)
        samples = [
            [_sample(choice, logprobs) for choice in found] * (request.n if greedy else 1)
            for request, found in zip(requests, choices, strict=True)
        ]
        require_finite((sample.logprobs for group in samples for sample in group), DTYPE)
        return samples

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, ...]]:
        """Log-probabilities of each completion after its prompt (`Engine.score`).

        The last token is drawn with no other allowed, because vLLM takes no prompt that fills the context; its
        log-probability is the model's own all the same.
        """
        rows = [[*prompt, *completion] for prompt, completion in pairs]
        bodies = [
            {
                "prompt": row[:-1],
                "temperature": 0.0,
                "max_tokens": 1,
                "prompt_logprobs": 0,
                "logprobs": 0,
                "allowed_token_ids": row[-1:],
            }
            for row in rows
        ]
        choices = self._complete(bodies, lambda index: None)
        scores: list[tuple[float, ...]] = []
        for row, (prompt, _), (choice,) in zip(rows, pairs, choices, strict=True):
            try:
                steps = [
                    choice["prompt_logprobs"][place][str(row[place])]["logprob"]
                    for place in range(len(prompt), len(row) - 1)
                ]
                last = choice["logprobs"]["token_logprobs"][0]
            except (KeyError, TypeError, IndexError) as error:
                raise incompatible("its answers have no prompt_logprobs, as vLLM's have") from error
            scores.append((*map(_number, steps), _number(last)))
        require_finite(scores, DTYPE)
        return scores

    def fingerprint(self) -> dict[str, str]:
        """Engine, version and the model as its server tells them."""
        return {
            "engine": "vllm-server",
            "vllm": self._version,
            "served": self._server.model,
            "root": str(self._card.get("root")),
            "max_model_len": str(self._card["max_model_len"]),
        }

    def close(self) -> None:
        """Close the connections; the server goes on, and what it still computes is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._server.close()

    def _check(self) -> None:
        """Draws one token at a temperature and asks for its log-probability again: both must be the model's own."""
        tokens = self.encode("1")
        hot = Sampling(temperature=2.0, top_p=1.0, max_tokens=1)
        sample = self.generate([Request(tokens, n=1, seed=0)], hot, logprobs=True)[0][0]
        if abs(self.score([(tokens, sample.token_ids)])[0][0] - sample.logprobs[0]) > SAME:
            raise incompatible("its log-probabilities depend on the temperature; start it with raw_logprobs")

    def _complete(self, bodies: Sequence[JsonObject], finished: Callable[[int], None]) -> list[list[Any]]:
        """The choices of every body, in order; `finished` is called with the index of each answer that came."""
        url = f"{self._server.url}/completions"
        futures = {self._pool.submit(self._server.post, url, PLAIN | body): i for i, body in enumerate(bodies)}
        found: dict[int, list[Any]] = {}
        try:
            for future in as_completed(futures):
                index = futures[future]
                found[index] = future.result().get("choices", [])
                if len(found[index]) != bodies[index].get("n", 1):
                    raise incompatible(
                        f"it gave {len(found[index])} samples where {bodies[index].get('n', 1)} were due"
                    )
                finished(index)
        finally:
            for future in futures:
                future.cancel()  # the rest, where one failed
        return [sorted(found[index], key=lambda choice: int(choice["index"])) for index in range(len(bodies))]

    def _tokenize(self, body: JsonObject) -> tuple[int, ...]:
        tokens = self._server.post(f"{self._server.root}/tokenize", body).get("tokens")
        if not isinstance(tokens, list):
            raise incompatible("its /tokenize gives no tokens, as vLLM's does")
        return tuple(int(token) for token in tokens)

    def _chat(self, prompt: Prompt, thinking: bool) -> tuple[int, ...]:
        body = {"messages": messages_of(prompt), "chat_template_kwargs": {"enable_thinking": thinking}}
        try:
            return self._tokenize(body)
        except JobError as error:
            if error.code == "server_refused" and error.category == "user":
                raise chat_template_failed(error.message) from error
            raise

    def _find_chat_template(self) -> bool:
        try:
            self._chat("1+1=?", thinking=False)
        except JobError as error:
            if error.code == "chat_template_failed" and NO_TEMPLATE in error.message:
                return False
            raise
        return True

    @cached_property
    def _has_thinking(self) -> bool:
        """Whether the template renders a chat otherwise when it is asked to let the model think."""
        return self._chat("1+1=?", thinking=True) != self._chat("1+1=?", thinking=False)


def _number(logprob: float | None) -> float:
    """JSON has no NaN: what is not a number may come as null; an infinite one comes as vLLM's floor, -9999."""
    return math.nan if logprob is None or logprob <= FLOOR else float(logprob)


def _sample(choice: JsonObject, logprobs: bool) -> Sample:
    try:
        ids = tuple(int(token) for token in choice["token_ids"])
        kept = tuple(map(_number, choice["logprobs"]["token_logprobs"])) if logprobs else ()
        return Sample(ids, str(choice["text"]), truncated=choice["finish_reason"] == "length", logprobs=kept)
    except (KeyError, TypeError, ValueError) as error:
        raise incompatible("its answers have no token_ids or no logprobs, as vLLM's have") from error
