"""The name that was probably meant: of a field, of a choice, of anything that has a list of known names."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 255
"""characters of a name that are compared: no name of ours is longer, and comparing takes time"""

_ALIASES = {
    "alpha": "js_alpha mixture",
    "bfloat16": "bf16",
    "checkpoint_every": "checkpoint_interval checkpoint_steps save_every save_steps save_interval",
    "context": "privileged_context privileged hint feedback",
    "corruption": "noise corrupt",
    "cosine": "cos",
    "decoding": "sampling sampling_params sampler generation generation_config generate",
    "divergence": "kl kl_type loss divergence_type",
    "dtype": "torch_dtype precision",
    "ema": "moving momentum co_moving",
    "ema_rate": "ema tau ema_tau teacher_rate teacher_update_rate momentum",
    "engine": "backend inference_engine",
    "evaluate_every": "eval_every eval_steps eval_interval evaluation_steps",
    "export": "save save_model",
    "feedback": "verifier_feedback environment_feedback",
    "float16": "fp16 half",
    "float32": "fp32",
    "forward_kl": "fkl",
    "frozen": "fixed initial",
    "gradient_checkpointing": "grad_checkpointing activation_checkpointing",
    "group_size": "n k num_generations num_rollouts rollouts n_rollouts group rollouts_per_prompt rollouts_per_problem",
    "hints": "hint",
    "js": "jsd jensen_shannon",
    "kind": "type name",
    "learning_rate": "lr step_size rate",
    "level": "hint_level hints num_hints n_hints confidence",
    "levels": "level confidence intervals",
    "lora_rank": "lora lora_r rank r",
    "max_cases": "cases num_cases n_cases",
    "max_model_len": "max_len context_length max_model_length",
    "max_tokens": "max_new_tokens max_completion_tokens max_completion_length max_length max_response_length "
    "response_length max_gen_toks",
    "memory_share": "gpu_memory_utilization gpu_memory",
    "micro_batch": "micro_batch_size per_device_train_batch_size",
    "min_gain": "minimum_gain min_improvement threshold",
    "model": "base_model model_name model_id student",
    "name": "model model_name path id model_id",
    "options": "args kwargs params parameters config",
    "peer_solution": "peer solution",
    "pool": "observations",
    "precision": "dtype",
    "probe": "measurement measure",
    "problems": "num_problems n_problems prompts num_prompts n_prompts examples num_examples",
    "problems_per_step": "bs batch batch_size prompts_per_step train_batch_size per_step",
    "processes": "gpus num_gpus n_gpus world_size num_processes",
    "recipe": "trainer hyperparameters hparams optimizer opsd",
    "reference_solution": "reference solution gold",
    "reverse_kl": "rkl",
    "rollouts": "n k num_rollouts n_rollouts samples num_samples n_samples rollouts_per_problem num_return_sequences",
    "schedule": "scheduler lr_scheduler lr_schedule lr_scheduler_type",
    "se": "stderr std standard_error sigma sem",
    "seed": "random_seed rng_seed seeds",
    "seeds": "seed random_seed",
    "skip_tokens": "skip skip_first_tokens",
    "static": "expert preamble text",
    "steps": "max_steps num_steps n_steps total_steps train_steps training_steps iterations",
    "stop": "stop_sequences stop_strings stop_tokens",
    "strip_thinking": "without_thinking",
    "student": "baseline accuracy student_accuracy",
    "target_half_width": "half_width width",
    "task": "dataset environment env benchmark data",
    "teacher": "self_teacher teacher_type teacher_rule",
    "temperature": "temp t",
    "tensor_parallel": "tp tensor_parallel_size tp_size",
    "thinking": "enable_thinking reasoning",
    "token_clip": "clip kl_clip",
    "top_k": "topk k",
    "top_p": "topp nucleus",
    "training": "train trainer training_options",
    "transformers": "hf huggingface",
    "trust_rate": "trust trust_region trust_region_rate",
    "trust_region": "trust",
    "value": "gap mean",
    "vllm": "v_llm",
    "warmup_steps": "warmup num_warmup_steps",
    "weight_decay": "wd decay",
}
"""What other libraries call it, by our name; an alias may belong to several names."""
ALIASES = {name: frozenset(aliases.split()) for name, aliases in _ALIASES.items()}


def plain(name: str) -> str:
    """Return a name as ours are written: `maxTokens` and `Max-Tokens` become `max_tokens`."""
    return re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())).lower()


def same(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is this one in another spelling, or that another library calls so."""
    if len(name) > LONGEST:
        return None
    written, names = plain(name), list(known)
    spelled = next((one for one in names if plain(one) == written), None)
    return spelled or next((one for one in names if written in ALIASES.get(one, ())), None)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant; None if no name is near."""
    if len(name) > LONGEST:
        return None
    names = list(known)
    found = same(name, names)
    if found is not None:
        return found
    by_plain = {plain(one): one for one in names}
    close = get_close_matches(plain(name), by_plain, n=1)
    return by_plain[close[0]] if close else None


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return the question that an error ends with, after a space; nothing if no known name is near."""
    name = nearest(value, known)
    return f" Did you mean {name!r}?" if name is not None else ""
