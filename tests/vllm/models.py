"""Copies of a lab model that make hidden defaults visible."""

import json
import shutil
from pathlib import Path

from workers.engines import model_folder

LAB_MODEL = "lab/addition-qwen3-s"

POISON = {"do_sample": True, "temperature": 0.1, "top_k": 1, "top_p": 0.1, "repetition_penalty": 1.5, "max_length": 9}
"""Sampling defaults of the model's own; an engine that listened to any of them would fail the contract."""

SECOND_END = 27
"""The digit 7, which ends a turn of the chat model beside its tokenizer's end of text."""

TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    "[{{ message.role }}] {{ message.content }}\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% if enable_thinking %}<think>{% endif %}{% endif %}"
)


def plain_model(folder: Path) -> Path:
    """The lab's model with poisoned sampling defaults."""
    shutil.copytree(model_folder(LAB_MODEL), folder)
    change(folder / "generation_config.json", **POISON)
    return folder


def chat_model(folder: Path) -> Path:
    """The same with a chat template that knows a thinking mode, and with two tokens that end a turn."""
    plain_model(folder)
    change(folder / "generation_config.json", eos_token_id=[0, SECOND_END])
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def change(file: Path, **values: object) -> None:
    """Sets keys of a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
