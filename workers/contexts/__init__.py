"""Privileged-context construction."""

from workers.contexts.build import build_context
from workers.contexts.extraction import clean_hints, extract_hints, extraction_prompt, solution_to_extract_from
from workers.contexts.kinds import Block, BuiltContext
from workers.contexts.leak import leak
from workers.contexts.material import Attempt, Material
from workers.contexts.prompts import prompt_shape, require_fit, student_prompt, teacher_prompt
from workers.contexts.templates import Shape

__all__ = [
    "Attempt",
    "Block",
    "BuiltContext",
    "Material",
    "Shape",
    "build_context",
    "clean_hints",
    "extract_hints",
    "extraction_prompt",
    "leak",
    "prompt_shape",
    "require_fit",
    "solution_to_extract_from",
    "student_prompt",
    "teacher_prompt",
]
