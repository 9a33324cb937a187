"""Verifiers: functions of a completion and an answer that return a score in [0, 1]."""


def exact(completion: str, answer: str) -> float:
    """1.0 where the completion is the answer, surrounding white space aside; else 0.0."""
    return 1.0 if completion.strip() == answer.strip() else 0.0
