"""The verifier `math`: a completion's answer as mathematics, by the library math-verify in processes of their own."""

import importlib.util

from gapcast.contract.numbers import parse_number
from gapcast.contract.problems import MathVerifier
from workers.failures import JobError
from workers.tasks.answers import STATED, number, tagged
from workers.tasks.answers.stated import boxes
from workers.tasks.mathematics.session import Ended, borrowed
from workers.tasks.protocol import Problem, Verdict, wrong


class MathAnswers:
    """Verifies completions of one task; `Verify` in `workers.tasks.verifiers`."""

    def __init__(self, spec: MathVerifier) -> None:
        """Take the options.

        Raises:
            JobError: `verifier_not_found` where the library is not installed.
        """
        if importlib.util.find_spec("math_verify") is None:
            message = (
                "The verifier math needs the library math-verify, which is not installed here: "
                "pip install 'gapcast[math]' where the worker runs."
            )
            raise JobError("verifier_not_found", message, "task", "server")
        self._spec = spec

    def __call__(self, problem: Problem, completion: str) -> Verdict:
        """1 where the answer is equal to the problem's; 0 also where comparing them takes too long.

        Raises:
            JobError: `verifier_failed` for a problem without an answer, or with one that the library cannot read.
        """
        answer = problem.answer
        if answer is None:
            raise JobError("verifier_failed", f"Problem {problem.id} has no answer to verify by.", "task")
        tag = tagged(completion)
        text = completion if tag is None else tag
        expected, (got, place) = parse_number(answer), number(completion)
        if expected is not None and got is not None and place in STATED and got.equals(expected, 0):
            return Verdict(1.0, "The answer is right.", read=got.text)  # numbers need no library
        inside = [box for _, _, box in boxes(text)]
        if "".join(answer.split()) == "".join((inside[0] if len(inside) == 1 else text).split()):
            return Verdict(1.0, "The answer is right.", read=answer.strip())  # `1:2` is `1:2`, whatever it means
        try:
            with borrowed() as session:
                said = session.ask(answer, text, self._spec, whole=tag is not None)
        except Ended as end:
            return wrong(f"The answer was not compared: {end}.", answer, text)
        if not said["gold"]:
            raise JobError(
                "verifier_failed", f"Problem {problem.id}: its answer {answer[:100]!r} is not mathematics.", "task"
            )
        read = said["read"]
        if said["equal"]:
            return Verdict(1.0, "The answer is right.", read=read)
        note = "There is no formula or number in the completion." if read is None else "The answer is wrong."
        return wrong(note, answer, read or text, read)
