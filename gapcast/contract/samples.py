"""Samples: the rollouts of a probe that are kept to be read, with what they were shown and how they were scored."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from gapcast.contract.base import Finite, Identified, Strict

ArmName = Literal["student", "none", "context", "placebo", "shuffled_feedback"]
Flip = Literal["gained", "lost"]
SampleShape = Literal["ndjson", "lm-eval", "verifiers"]

LEFT_OUT = "\n[... {} characters are left out here ...]\n"
SMALLEST = 200
"""characters that a stored text may always have, so that its beginning and end are there to read"""
NOT_STORED = "\ufffd"
"""stands for what a database's text cannot hold: NUL, and half a surrogate pair"""


def storable(text: Any) -> Any:  # noqa: ANN401
    """Return a text that every database and every JSON can hold; anything else as it is."""
    if not isinstance(text, str):
        return text
    text = text.replace("\x00", NOT_STORED)
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def shortened(text: str, most: int) -> str:
    """Return a text of at most `most` characters, at least `SMALLEST`: the beginning and the end of a longer one."""
    if len(text) <= most:
        return text
    mark = LEFT_OUT.format(len(text) - most)
    kept = most - len(mark) - 3  # the number in the mark grows by the mark's own length
    head = (kept + 1) // 2
    return text[:head] + LEFT_OUT.format(len(text) - kept) + text[len(text) - kept + head :]


Text = Annotated[str, BeforeValidator(storable)]


class SampleLimits(BaseModel):
    """How much of a probe is kept: what comes first of the three bounds ends it."""

    count: int = Field(ge=0, description="samples of a probe; 0: nothing is kept")
    bytes: int = Field(ge=0, description="of a probe's samples")
    characters: int = Field(ge=SMALLEST, description="of each text")


class SampleMessage(BaseModel):
    """One message of a chat that a model was asked with."""

    # an error would print what somebody has written
    model_config = ConfigDict(hide_input_in_errors=True)

    role: Text
    content: Text


class Sample(Finite):
    """One rollout of a probe and what the verifier found."""

    model_config = ConfigDict(hide_input_in_errors=True)

    problem_id: Text = Field(max_length=255)
    rollout: int = Field(ge=0, description="which of the problem's rollouts, from 0; the same number in each arm")
    arm: ArmName = Field(description="`context` is the self-teacher")
    prompt: Text | list[SampleMessage] = Field(
        description="a text or chat messages, with the context where the arm has one; before the chat template"
    )
    context: Text | None = Field(None, description="the context alone; null: the rollout had none")
    completion: Text
    answer: Text | None = Field(
        None, description="what the verifier read as the answer; null: nothing, or it reads the whole completion"
    )
    expected: Text | None = Field(None, description="the problem's answer; null: it has none")
    score: float = Field(ge=0, le=1)
    note: Text | None = Field(None, description="what the verifier found, in a sentence")
    finish_reason: Literal["stop", "length"] | None = Field(
        None, description="`length`: it was truncated at max_tokens; null: not known"
    )
    tokens: int | None = Field(None, ge=0, description="of the completion; null: not known")
    truncated: dict[str, int] = Field(
        default_factory=dict,
        description="the texts that are stored in part, without their middle, and how many characters each had",
    )

    @property
    def right(self) -> bool:
        """True if it is a success."""
        return self.score >= 1

    @property
    def question(self) -> str:
        """The prompt as one text."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n\n".join(f"{message.role}: {message.content}" for message in self.prompt)

    def within(self, most: int) -> Self:
        """Return it with every text at most `most` characters long; `truncated` names those that were longer."""
        changed: dict[str, Any] = {}
        lengths = dict(self.truncated)
        for name in ("context", "completion", "answer", "expected", "note"):
            text = getattr(self, name)
            if text is not None and len(text) > most:
                changed[name], lengths[name] = shortened(text, most), lengths.get(name, len(text))
        if isinstance(self.prompt, str):
            if len(self.prompt) > most:
                changed["prompt"] = shortened(self.prompt, most)
                lengths.setdefault("prompt", len(self.prompt))
        elif sum(len(message.content) for message in self.prompt) > most:
            # the last messages ask the question; each gets an equal part
            last = self.prompt[-max(1, most // SMALLEST) :]
            part = max(SMALLEST, most // len(last))
            changed["prompt"] = [
                message.model_copy(update={"content": shortened(message.content, part)}) for message in last
            ]
            lengths.setdefault("prompt", sum(len(message.content) for message in self.prompt))
        return self.model_copy(update=changed | {"truncated": lengths}) if changed else self

    @property
    def size(self) -> int:
        """Bytes that it takes as JSON."""
        return len(self.model_dump_json().encode())


class SampleOut(Sample, Identified):
    """A stored sample."""

    object: Literal["sample"] = "sample"
    probe_id: str
    flip: Flip | None = Field(
        description="`gained`: the student's rollout is wrong and the self-teacher's rollout of the same number is "
        "right; `lost`: the reverse; null: they agree, or it is of another arm"
    )


class StoredSamples(BaseModel):
    """How many samples of a probe are stored."""

    count: int
    bytes: int
    reason: Literal["request", "evicted", "none"] | None = Field(
        None,
        description="why there are none: a request said so (`probe.samples`), newer probes took their place "
        "(`samples_bytes`), or they never were stored; null if there are some",
    )


class SampleStorage(BaseModel):
    """How samples are stored for a tenant."""

    object: Literal["sample_storage"] = "sample_storage"
    store: bool = Field(description="false: nothing is stored for this tenant")
    probes: int = Field(description="of this tenant that have samples")
    bytes: int = Field(description="of this tenant's samples")
    limits: SampleLimits = Field(description="of one probe, as the server is set up")


class SampleStorageIn(Strict):
    """What a tenant wants."""

    store: StrictBool = Field(description="false: nothing is stored from now on, and what was stored is deleted")
