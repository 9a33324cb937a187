"""Rollouts from the weights that are trained: after every step vLLM gets them, and must agree with the trainer."""

import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from workers.engines import Request, Sampling
from workers.engines.transformers import TransformersEngine
from workers.engines.vllm import VllmEngine
from workers.failures import JobError
from workers.opsd.adapters import file_weights, write_adapter

TOLERANCES = {"float32": 1e-4, "float16": 0.1, "bfloat16": 0.5}
"""Nats that log-probabilities of the same weights may differ by, by the precision of vLLM. In float32 rounding stays
far below it. In 16 bits the logits are rounded themselves (between 32 and 64 those of bfloat16 are 0.25 apart, those of
float16 an eighth of that), and the layers before add theirs: stale weights are found at once in float32, and in 16 bits
once training has moved them."""

PAIRS, PROMPT, COMPLETION = 4, 16, 24
"""Probed prompts, and tokens of each: a hundred log-probabilities, a fraction of any step's rollouts."""


class RolloutWeights:
    """Keeps a vLLM engine's weights those of the trainer's model, in one process."""

    def __init__(self, engine: VllmEngine, trainer: TransformersEngine, lora: bool) -> None:
        """`lora`: the trainer's model has a LoRA adapter; it alone is sent where the engine takes adapters."""
        self._engine, self._trainer = engine, trainer
        self._adapter = lora and engine.takes_adapters
        self._tolerance = TOLERANCES[engine.dtype]
        tokens = _ordinary_tokens(trainer)
        rng = random.Random(0)  # noqa: S311 - any tokens do, as long as they are always the same
        context = min(engine.context_length, trainer.context_length)
        completion = min(COMPLETION, context // 2)
        room = context - completion
        # longer than a block of the prompt cache, so that keys and values of old weights would be met
        long, short = min(engine.cached_block + PROMPT, room), min(PROMPT, room)
        self._pairs = [(rng.choices(tokens, k=short), rng.choices(tokens, k=completion)) for _ in range(PAIRS)]
        self._requests = [Request(tuple(rng.choices(tokens, k=long)), 1, seed) for seed in range(PAIRS)]
        self._sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=completion)
        self.pushes = 0
        self.send_seconds = 0.0
        """All that sending took so far."""
        self.check_seconds = 0.0
        """All that comparing took so far."""
        self.largest = 0.0
        """Nats: the largest difference that the last check found."""

    def push(self) -> None:
        """Sends the weights as they are now, and compares.

        Raises:
            JobError: `weights_out_of_sync`.
        """
        began = time.monotonic()
        if self._adapter:
            with TemporaryDirectory(prefix="gapcast-adapter-") as folder:
                write_adapter(self._trainer.model, Path(folder))
                self._engine.update_adapter(Path(folder))
        else:
            self._engine.update_weights(file_weights(self._trainer.model))
        sent = time.monotonic()
        self.check()
        self.pushes += 1
        self.send_seconds += sent - began
        self.check_seconds += time.monotonic() - sent

    def check(self) -> None:
        """Compares log-probabilities of the same few completions, some given and some drawn by the engine.

        Drawn ones pass through all that rollouts do, the cache of prompts among it; given ones do not use the cache.

        Raises:
            JobError: `weights_out_of_sync`.
        """
        drawn = [group[0] for group in self._engine.generate(self._requests, self._sampling, logprobs=True)]
        completions = [(request.tokens, one.token_ids) for request, one in zip(self._requests, drawn, strict=True)]
        theirs = [*self._engine.score(self._pairs), *(one.logprobs for one in drawn)]
        ours = self._trainer.score([*self._pairs, *completions])
        self.largest = max(
            abs(a - b) for row, other in zip(theirs, ours, strict=True) for a, b in zip(row, other, strict=True)
        )
        if self.largest > self._tolerance:
            raise JobError(
                "weights_out_of_sync",
                f"vLLM's log-probabilities differ from the trainer's by up to {self.largest:.2g} nats, and rounding in "
                f"{self._engine.dtype} explains {self._tolerance:g}: rollouts would come from other weights than those "
                "that are trained. Ask for the engine transformers, and report the model.",
                None,
                "server",
            )


def _ordinary_tokens(trainer: TransformersEngine) -> list[int]:
    """The vocabulary without special tokens: some stand for an image or a tool, and no text has them."""
    added = trainer.tokenizer.added_tokens_decoder
    return [token for token in range(trainer.model.config.get_text_config().vocab_size) if token not in added]
