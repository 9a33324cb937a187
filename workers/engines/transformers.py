"""Rollouts with `transformers`: batches of similar length, one torch thread, every sample from its own seed."""

import gc
import importlib
import inspect
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from gapcast.contract.measured import ModelOptions
from workers.engines.failures import (
    load_failure,
    model_not_loadable,
    not_numbers,
    option_not_supported,
    require_context,
    require_finite,
)
from workers.engines.prompts import PromptEncoder, end_tokens, require_room
from workers.engines.protocol import Prompt, Request, Sample, Sampling
from workers.engines.sampling import SeededPick, StopTexts, cut_before, uniforms
from workers.engines.underway import At, Meter, Underway
from workers.failures import JobError, out_of_memory

BATCH_ROLLOUTS = 256
"""Rollouts that are decoded together: the speed of a tiny model on one core no longer grows above this."""

BATCH_TOKENS = 1 << 16
"""Tokens that a batch keeps in its cache: 10 GB for a model of 8B parameters in 16 bits."""

BATCH_LOGITS = 1 << 24
"""Logits that exist at a time: 64 MB in float32; 111 rows of a vocabulary of 150,000."""

CPU_PROMPTS = 1 << 37
"""Parameters x tokens of prompts that a CPU reads at a time: two to three seconds of one free core. Nothing is reported
while prompts are read, and a larger batch reads none of them faster."""

SCORE_TOKENS = 1 << 14
"""Tokens that go through the model at a time while completions are scored."""

SCORE_LOGITS = 1 << 26
"""Logits that exist at a time then: 256 MB in float32; 440 tokens at a vocabulary of 152,000."""

GPU_FULL = "The GPU's memory is full"

THREADS = 1
"""One torch thread a process: two were up to 25x slower on a busy small machine (OPSD.md, Engines)."""

Row = tuple[int, int]
"""The index of a request, and which of its samples."""


def _import_generation() -> None:
    """Imports what decodes, without scikit-learn and SciPy, whose import would be a sixth of a child's start.

    Where they are installed, transformers imports the one for assisted decoding, and an optimizer of the other for the
    losses of object detectors. Neither is ever ours.
    """
    utils = transformers.utils
    asked = utils.is_sklearn_available, utils.is_scipy_available
    utils.is_sklearn_available = utils.is_scipy_available = lambda: False
    try:
        importlib.import_module("transformers.generation.candidate_generator")
        importlib.import_module("transformers.modeling_utils")
    finally:
        utils.is_sklearn_available, utils.is_scipy_available = asked


class TransformersEngine:
    """Implements `workers.engines.protocol.Engine` with `AutoModelForCausalLM.generate`."""

    def __init__(self, model: Any, tokenizer: Any, max_model_len: int | None = None) -> None:  # noqa: ANN401 - transformers has no types
        self.model = model
        self.tokenizer = tokenizer
        self.end = end_tokens(tokenizer, model.generation_config.eos_token_id)
        # generate() fills whatever a call leaves open from here (a top_k of 50, penalties, suppressed tokens):
        # the decoding of the configuration is all there is.
        own = model.generation_config
        model.generation_config = transformers.GenerationConfig(
            bos_token_id=own.bos_token_id, eos_token_id=sorted(self.end) or None, pad_token_id=own.pad_token_id
        )
        self._prompts = PromptEncoder(tokenizer)
        self._vocabulary = int(model.config.get_text_config().vocab_size)
        self._parameters = sum(parameter.numel() for parameter in model.parameters())
        self._keeps_some = "logits_to_keep" in inspect.signature(model.forward).parameters
        self.context_length = require_context(model.config.get_text_config().to_dict(), max_model_len)

    @classmethod
    def load(cls, folder: Path, options: ModelOptions | None = None, *, on_cpu: bool = False) -> "TransformersEngine":
        """Loads a model's folder from safetensors, without network and without the folder's own code.

        With `on_cpu` the weights stay in main memory, in the precision that they would have had elsewhere.

        Raises:
            JobError: `model_not_loadable`, `out_of_memory` or `engine_option_not_supported`.
        """
        options = options or ModelOptions()
        if options.tensor_parallel > 1:
            raise option_not_supported("transformers", "tensor_parallel")
        if options.quantization is not None:
            raise option_not_supported("transformers", "quantization")
        torch.set_num_threads(THREADS)
        _import_generation()
        transformers.utils.logging.disable_progress_bar()  # the job has its own progress events
        device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = options.dtype if options.dtype != "auto" or device == "cuda" else "float32"
        try:
            model, loading = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            model = model.eval().to("cpu" if on_cpu else device)
        except torch.cuda.OutOfMemoryError as error:
            raise out_of_memory(GPU_FULL) from error
        except (MemoryError, JobError):
            raise
        except Exception as error:  # whatever a file that does not fit makes the loaders raise
            raise load_failure(error) from error
        if missing := sorted(loading["missing_keys"]):
            # transformers would fill them with random numbers
            raise model_not_loadable(f"its files lack {len(missing)} weights of its config.json, {missing[0]} for one")
        return cls(model, tokenizer, options.max_model_len)

    @property
    def has_chat_template(self) -> bool:
        """Whether prompts are rendered as chats."""
        return self._prompts.has_chat_template

    def encode(self, prompt: Prompt, *, thinking: bool = False) -> tuple[int, ...]:
        """The tokens of a prompt (`Engine.encode`)."""
        return self._prompts.encode(prompt, thinking=thinking)

    def opens_thinking(self, *, thinking: bool = False) -> bool:
        """True if the template's prompts end inside a thinking part (`Engine.opens_thinking`)."""
        return self._prompts.opens_thinking(thinking=thinking)

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        logprobs: bool = False,
        report: Callable[[int], None] = lambda samples: None,
    ) -> list[list[Sample]]:
        """Fresh samples of every request (`Engine.generate`).

        What stands beside a row changes its logits by rounding alone (about 1e-6), which moves a token once in some
        hundred thousand.
        """
        require_room(requests, sampling, self.context_length)
        rows: list[Row] = [(index, k) for index, request in enumerate(requests) for k in range(request.n)]
        rows.sort(key=lambda row: len(requests[row[0]].tokens))  # stable, so equal lengths keep the requests' order
        samples: dict[Row, Sample] = {}
        for batch in self._batches(rows, requests, sampling):
            meter = Meter(report)
            samples.update(zip(batch, self._decode_halving(batch, requests, sampling, logprobs, meter.at), strict=True))
            meter.at(len(batch))
        return [[samples[index, k] for k in range(request.n)] for index, request in enumerate(requests)]

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, ...]]:
        """Log-probabilities of each completion after its prompt (`Engine.score`)."""
        order = sorted(range(len(pairs)), key=lambda index: len(pairs[index][0]) + len(pairs[index][1]))
        scores: dict[int, tuple[float, ...]] = {}
        start = 0
        while start < len(order):
            end = start + 1
            most = SCORE_LOGITS // self._vocabulary  # rows whose logits of one token exist together
            # the cache grows with every piece, so that long rows are scored few at a time
            while end < len(order) and (rows := end + 1 - start) <= most:
                if rows * sum(map(len, pairs[order[end]])) > SCORE_TOKENS:
                    break
                end += 1
            batch = order[start:end]
            scores.update(zip(batch, self._score([pairs[index] for index in batch]), strict=True))
            start = end
        return [scores[index] for index in range(len(pairs))]

    def fingerprint(self) -> dict[str, str]:
        """Engine, versions, precision and processor."""
        device = self.model.device
        return {
            "engine": "transformers",
            "dtype": self._dtype,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        }

    def close(self) -> None:
        """Give the memory back."""
        on_cpu = self.model.device.type == "cpu"
        del self.model
        if not on_cpu:
            gc.collect()  # a third of a second, in which a small probe on a CPU has drawn half of its rollouts
            torch.cuda.empty_cache()

    @property
    def _dtype(self) -> str:
        return str(self.model.dtype).removeprefix("torch.")

    def _fits(self, rows: int, prompt: int, width: int) -> bool:
        fits = rows <= BATCH_ROLLOUTS and rows * width <= BATCH_TOKENS and rows * self._vocabulary <= BATCH_LOGITS
        return fits and (self.model.device.type != "cpu" or rows * prompt * self._parameters <= CPU_PROMPTS)

    def _batches(self, rows: list[Row], requests: Sequence[Request], sampling: Sampling) -> Iterator[list[Row]]:
        batch: list[Row] = []
        for row in rows:
            prompt = len(requests[row[0]].tokens)
            if batch and not self._fits(len(batch) + 1, prompt, prompt + sampling.max_tokens):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _decode_halving(
        self, batch: list[Row], requests: Sequence[Request], sampling: Sampling, logprobs: bool, at: At
    ) -> list[Sample]:
        """Decodes a batch, in halves where the GPU's memory does not hold it whole: the samples are the same."""
        try:
            return self._decode(batch, requests, sampling, logprobs, at)
        except torch.cuda.OutOfMemoryError as error:
            if len(batch) == 1:
                raise out_of_memory(GPU_FULL) from error
        torch.cuda.empty_cache()
        half = len(batch) // 2
        parts: list[tuple[list[Row], At]] = [(batch[:half], at), (batch[half:], lambda done: at(half + done))]
        return [
            sample for part, here in parts for sample in self._decode_halving(part, requests, sampling, logprobs, here)
        ]

    def _decode(
        self, batch: list[Row], requests: Sequence[Request], sampling: Sampling, logprobs: bool, at: At
    ) -> list[Sample]:
        """One batch: left-padded prompts in, one sample a row out."""
        prompts = [requests[index].tokens for index, _ in batch]
        width, device = max(map(len, prompts)), self.model.device
        pad = next((token for token in (self.tokenizer.pad_token_id, *sorted(self.end)) if token is not None), 0)
        tokens_BT = torch.tensor([[pad] * (width - len(row)) + list(row) for row in prompts], device=device)
        padding_B1 = torch.tensor([[width - len(row)] for row in prompts], device=device)
        mask_BT = (torch.arange(width, device=device) >= padding_B1).long()
        numbers_BT = None
        if sampling.temperature > 0:
            seeds = [(requests[index].seed, k) for index, k in batch]
            numbers_BT = uniforms(seeds, sampling.max_tokens).to(device)
        pick = SeededPick(sampling, numbers_BT, logprobs)
        stops = StopTexts(self.tokenizer, sampling.stop, width, len(batch), self.end) if sampling.stop else None
        config = transformers.GenerationConfig(
            do_sample=False,  # greedy over what SeededPick leaves: one token
            max_new_tokens=sampling.max_tokens,
            eos_token_id=sorted(self.end) or None,
            pad_token_id=pad,
        )
        with torch.inference_mode():
            out_BT = self.model.generate(
                input_ids=tokens_BT,
                attention_mask=mask_BT,
                generation_config=config,
                logits_processor=[pick],
                stopping_criteria=[*([stops] if stops else []), Underway(width, sampling.max_tokens, self.end, at)],
            )
        if not pick.finite:
            raise not_numbers(self._dtype)
        kept = torch.stack(pick.logprobs, dim=1).tolist() if logprobs else [[]] * len(batch)
        lengths = stops.lengths if stops else [None] * len(batch)
        written = out_BT[:, width:].tolist()
        return [self._sample(*row, sampling.stop) for row in zip(written, kept, lengths, strict=True)]

    def _sample(self, row: list[int], logprobs: list[float], length: int | None, stop: tuple[str, ...]) -> Sample:
        """Cuts a row at its stop text or after its first end-of-text token."""
        if length is None:
            length = next((place + 1 for place, token in enumerate(row) if token in self.end), None)
        ids = row[:length]
        text = cut_before(str(self.tokenizer.decode(ids, skip_special_tokens=True)), stop)
        return Sample(tuple(ids), text, truncated=length is None, logprobs=tuple(logprobs[: len(ids)]))

    def _score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, ...]]:
        """One batch, padded on the right: attention is causal, so no token sees the padding.

        It goes through the model piece by piece, so that the logits of all tokens never exist together; those of
        tokens that all rows have in their prompts are not made.
        """
        width = max(len(prompt) + len(completion) for prompt, completion in pairs)
        rows = [[*prompt, *completion] for prompt, completion in pairs]
        tokens_BT = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=self.model.device)
        first = min(len(prompt) for prompt, _ in pairs) - 1 if self._keeps_some else 0
        tokens, logits = max(1, SCORE_TOKENS // len(rows)), max(1, SCORE_LOGITS // (self._vocabulary * len(rows)))
        found = [tokens_BT[:, :0].float()]
        cache, start = None, 0
        with torch.inference_mode():
            while start < width - 1:
                end = min(start + tokens, max(start, first) + logits, width - 1)
                kept = max(0, end - max(start, first))
                some = {"logits_to_keep": max(1, kept)} if self._keeps_some else {}
                out = self.model(input_ids=tokens_BT[:, start:end], past_key_values=cache, use_cache=True, **some)
                cache = out.past_key_values
                next_BT1 = tokens_BT[:, end + 1 - kept : end + 1, None]
                logits_BTV = out.logits[:, out.logits.shape[1] - kept :]
                found.append(logits_BTV.float().log_softmax(dim=-1).gather(2, next_BT1)[:, :, 0])
                start = end
        scores = [
            tuple(row[len(prompt) - 1 - first : len(prompt) + len(completion) - 1 - first])
            for row, (prompt, completion) in zip(torch.cat(found, dim=1).tolist(), pairs, strict=True)
        ]
        require_finite(scores, self._dtype)
        return scores
