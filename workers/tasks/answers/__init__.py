"""Where a completion's answer stands: without its thinking, and as a number, a letter or JSON."""

from workers.tasks.answers.json_texts import json_text
from workers.tasks.answers.letters import chosen_letters
from workers.tasks.answers.stated import STATED, number, tagged
from workers.tasks.answers.thinking import answer_part, closes_thinking, opens_thinking

__all__ = [
    "STATED",
    "answer_part",
    "chosen_letters",
    "closes_thinking",
    "json_text",
    "number",
    "opens_thinking",
    "tagged",
]
