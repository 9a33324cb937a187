"""Privileged-context construction."""

from workers.contexts.build import BuiltContext, another_problem, build_context, require_fit, teacher_prompt

__all__ = ["BuiltContext", "another_problem", "build_context", "require_fit", "teacher_prompt"]
