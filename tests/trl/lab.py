"""TRL's trainers on a lab model, as every test here wants them."""

from pathlib import Path
from typing import Any

import transformers

from workers.contexts.templates import TEACHER_PROMPT
from workers.engines import model_folder
from workers.tasks import Split, load_task

MODEL = "lab/addition-qwen3-s"
HINTED = "Hints: {context}"
STEPS = 30


def lab_rows(count: int, level: int = 3) -> list[dict[str, Any]]:
    task = load_task("lab/addition")
    return [
        {"prompt": one.text, "answer": one.answer, "privileged_context": task.hint_text(one, level)}
        for one in task.problems(Split.train)[:count]
    ]


def score(prompts: list[str], completions: list[str], answer: list[str], **rest: Any) -> list[float]:
    return [float(said.strip() == right) for said, right in zip(completions, answer, strict=True)]


def usual(folder: Path, **more: Any) -> dict[str, Any]:
    """Of both configurations."""
    fixed: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 64,
        "num_generations": 4,
        "max_completion_length": 16,
        "max_steps": STEPS,
        "learning_rate": 5e-4,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "bf16": False,
        "teacher_model_kind": "base",
        "distillation_mode": "full_logits",
        "distillation_topk": None,
        "distillation_alpha": 0.0,
    }
    return fixed | more


def sdft_config(folder: Path, **more: Any) -> Any:
    from trl.experimental.sdft import SDFTConfig

    template = TEACHER_PROMPT.replace("{context}", HINTED.replace("{context}", "{privileged_context}"))
    return SDFTConfig(**usual(folder, teacher_prompt_template=template, **more))


def sdpo_config(folder: Path, **more: Any) -> Any:
    from trl.experimental.sdpo import SDPOConfig

    templates = {
        "reprompt_template": "{solution}{feedback}{prompt}",
        "solution_template": "Solution: {successful_previous_attempt}\n\n",
        "feedback_template": "Feedback: {feedback_raw}\n\n",
    }
    return SDPOConfig(**usual(folder, **(templates | more)))


def trainer_of(config: Any, rows: list[dict[str, Any]], *callbacks: Any) -> Any:
    from datasets import Dataset
    from trl.experimental.sdft import SDFTConfig, SDFTTrainer
    from trl.experimental.sdpo import SDPOTrainer

    folder = str(model_folder(MODEL))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
    given = {"args": config, "train_dataset": Dataset.from_list(rows), "processing_class": tokenizer}
    if isinstance(config, SDFTConfig):
        return SDFTTrainer(folder, callbacks=list(callbacks), **given)
    return SDPOTrainer(folder, reward_funcs=[score], callbacks=list(callbacks), **given)
