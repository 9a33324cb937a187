"""Rollouts with `transformers`: batches of similar length, one torch thread, seeded."""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from workers.engines.protocol import Sample, Sampling

BATCH_ROLLOUTS = 256
"""Rollouts that are decoded together: the speed of a tiny model on one core no longer grows above this."""

THREADS = 1
"""One torch thread a process: two were up to 25x slower on a busy small machine (OPSD.md, Engines)."""


class TransformersEngine:
    """Implements `workers.engines.protocol.Engine` with `AutoModelForCausalLM.generate`."""

    def __init__(self, model: Any, tokenizer: Any) -> None:  # noqa: ANN401 - transformers has no types
        self.model = model
        self.tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> "TransformersEngine":
        """Loads a model's folder in float32 from safetensors, without network and without the folder's own code."""
        torch.set_num_threads(THREADS)
        transformers.utils.logging.disable_progress_bar()  # the job has its own progress events
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return cls(model.eval(), tokenizer)

    @property
    def context_length(self) -> int:
        """Tokens that prompt and completion may have together."""
        return int(self.model.config.max_position_embeddings)

    def count_tokens(self, prompt: str) -> int:
        """Tokens of a prompt."""
        return len(self.encode(prompt))

    def encode(self, prompt: str) -> list[int]:
        """The token ids of a prompt."""
        return [int(token) for token in self.tokenizer(prompt)["input_ids"]]

    def generate(self, prompts: Sequence[str], n: int, sampling: Sampling, seed: int) -> list[list[Sample]]:
        """`n` fresh samples of every prompt, in the prompts' order; the same arguments give the same samples."""
        encoded = [self.encode(prompt) for prompt in prompts]
        rows = [index for index in range(len(prompts)) for _ in range(n)]
        rows.sort(key=lambda index: len(encoded[index]))  # stable, so equal lengths keep the prompts' order
        samples: list[list[Sample]] = [[] for _ in prompts]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for start in range(0, len(rows), BATCH_ROLLOUTS):
                batch = rows[start : start + BATCH_ROLLOUTS]
                for index, sample in zip(batch, self._decode([encoded[i] for i in batch], sampling), strict=True):
                    samples[index].append(sample)
        return samples

    def fingerprint(self) -> dict[str, str]:
        """Engine, versions, precision and processor architecture."""
        return {
            "engine": "transformers",
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": str(self.model.device.type),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        }

    def _decode(self, rows: list[list[int]], sampling: Sampling) -> list[Sample]:
        """One batch: left-padded prompts in, one sample a row out."""
        eos, width = int(self.tokenizer.eos_token_id), max(len(row) for row in rows)
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else eos
        tokens_BT = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        mask_BT = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        greedy = sampling.temperature == 0
        # Every sampling default of the model's own generation_config (top_k = 50 for one) is switched off:
        # the decoding of the configuration is all there is.
        config = transformers.GenerationConfig(
            do_sample=not greedy,
            temperature=1.0 if greedy else sampling.temperature,
            top_p=1.0 if greedy else sampling.top_p,
            top_k=0 if not greedy else 50,  # 50 is transformers' own "unset"; greedy search ignores it
            max_new_tokens=sampling.max_tokens,
            eos_token_id=eos,
            pad_token_id=pad,
        )
        with torch.inference_mode():
            out = self.model.generate(input_ids=tokens_BT, attention_mask=mask_BT, generation_config=config)
        return [self._sample(row, eos) for row in out[:, width:].tolist()]

    def _sample(self, row: list[int], eos: int) -> Sample:
        """Cuts a row after its first end-of-text token."""
        ended = eos in row
        ids = row[: row.index(eos) + 1] if ended else row
        return Sample(tuple(ids), str(self.tokenizer.decode(ids, skip_special_tokens=True)), not ended)
