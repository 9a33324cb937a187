"""Tasks of reasoning-gym: its generators make the problems, and its scorers score them."""

from importlib.metadata import version
from typing import Any

from gapcast.contract.base import JsonObject
from gapcast.contract.faults import shown
from gapcast.contract.nearest import did_you_mean
from gapcast.generators import Generated, GeneratorError, name_of

INSTRUCTION = "Give your final answer between <answer> and </answer>."
"""what follows each question, unless the description says otherwise; where no tags come, the whole completion counts"""


def make(fields: JsonObject) -> Generated:
    """Make the task of a description.

    Raises:
        GeneratorError: the library is not installed, or does not know the data set or an option of it.
    """
    try:
        from reasoning_gym import create_dataset
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise GeneratorError(
            "task.generator: reasoning-gym is not installed here. Install it: pip install 'gapcast[reasoning-gym]'."
        ) from error
    name = str(fields.get("name"))
    if name not in DATASETS:
        near = did_you_mean(name, DATASETS)
        raise GeneratorError(f"task.name: expected a data set of reasoning-gym, got {shown(name)}.{near}")
    problems, total = fields["problems"], fields["problems"] + fields["held_out"]
    if "size" in fields["config"]:
        raise GeneratorError("task.config.size: is the sum of problems and held_out. Set these in task instead.")
    config = {"seed": 0} | fields["config"] | {"size": total}
    try:
        dataset = create_dataset(name, **config)
        entries = [dataset[number] for number in range(total)]
    except Exception as error:  # any of a hundred generators' own
        raise GeneratorError(
            f"task.config: reasoning-gym's {name} refuses it: {type(error).__name__}: {error}"
        ) from error
    instruction = fields.get("instruction", INSTRUCTION)
    options = {"dataset": name, "config": config, "version": version("reasoning-gym")}
    return Generated(
        name=name_of("reasoning-gym", name, options | {"problems": problems, "instruction": instruction}),
        verifier="reasoning-gym",
        options=options,
        problems=[
            _line(number, entry, instruction) | ({"split": "held_out"} if number >= problems else {})
            for number, entry in enumerate(entries)
        ],
        max_tokens=fields.get("max_tokens"),
    )


def _line(number: int, entry: dict[str, Any], instruction: str) -> JsonObject:
    question = entry["question"].strip()
    answer = "" if entry["answer"] is None else str(entry["answer"])
    line = {"id": str(number), "prompt": f"{question}\n\n{instruction}" if instruction else question}
    if answer:
        shown_as = f"<answer>{answer}</answer>" if "<answer>" in instruction else answer
        line |= {"answer": answer, "reference_solution": shown_as}
    return line
