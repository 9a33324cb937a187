"""The program's side of a test: calls its functions for whoever asks, over the channel.

A request is `{"do": operation, ...}` and its answer `{"value"}`, `{"raised", "message"}` or, for a call that changed
its arguments in place, also `{"changed"}`. Only plain values leave; an object that is not plain stays here under a
number. Standard library only.
"""

import builtins
import json
import operator
from collections.abc import Callable
from typing import Any, BinaryIO

from workers.tasks.sandbox import messages, plain, preload

Operation = Callable[..., Any]

OPERATIONS: dict[str, Operation] = {
    "attribute": getattr,
    "set_attribute": setattr,
    "item": operator.getitem,
    "set_item": operator.setitem,
    "delete_item": operator.delitem,
    "items": list,
    "length": len,
    "truth": bool,
    "text": str,
    "repr": repr,
    "same": operator.eq,
    "hash": hash,
}
"""what can be done to an object that stays here, besides calling it"""


def run(stream: BinaryIO, names: preload.Namespace) -> int:
    """Answer requests until the other side has enough."""
    objects: list[Any] = []

    def keep(value: Any) -> int:  # noqa: ANN401
        objects.append(value)
        return len(objects) - 1

    while (request := messages.receive(stream)) is not None:
        try:
            answer = json.dumps(_answer(request, names, objects, keep))
        except BaseException as error:
            answer = json.dumps({"raised": _known(type(error)), "message": messages.describe(error)})
        messages.send_line(stream, answer)
    return 0


def _answer(
    request: messages.Message, names: preload.Namespace, objects: list[Any], keep: Callable[[Any], int]
) -> messages.Message:
    operation = request["do"]
    if operation == "names":
        return {"value": [name for name in request["names"] if name in names]}
    if operation == "name":
        return {"value": plain.encode(names[request["name"]], keep)}
    if operation == "entry":
        arguments = [json.loads(line) for line in request["lines"]]
        return {"value": plain.json_form(_entry(names, request["name"])(*arguments))}
    arguments = plain.decode(request["args"], objects.__getitem__)
    target = objects[request["on"]]
    if operation != "call":
        return {"value": plain.encode(OPERATIONS[operation](target, *arguments), keep)}
    keywords = plain.decode(request["keywords"], objects.__getitem__)
    value = plain.encode(target(*arguments, **keywords), keep)
    changed = plain.encode(arguments, keep)
    return {"value": value, **({"changed": changed} if changed != request["args"] else {})}


def _entry(names: preload.Namespace, name: str) -> Callable[..., Any]:
    """The function of that name at the top, or the method of that name of `class Solution`."""
    solution = names.get("Solution")
    if name not in names and solution is not None:
        return getattr(solution(), name)  # type: ignore[no-any-return]
    if name not in names:
        raise NameError(f"the program defines no {name}")
    return names[name]  # type: ignore[no-any-return]


def _known(kind: type[BaseException]) -> str:
    """The nearest of Python's own exceptions."""
    return next(base.__name__ for base in kind.__mro__ if getattr(builtins, base.__name__, None) == base)
