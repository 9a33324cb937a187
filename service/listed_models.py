"""The models that an operator allows beside the lab's: `[[models]]` in gapcast.toml, or `GAPCAST_MODELS` as JSON."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from gapcast.contract.base import Strict
from gapcast.contract.needs import Needs

LAB_PREFIX = "lab/"
"""what the lab's models and tasks are called; nothing else is"""
VISIBLE = re.compile(r"[!-~]+")
FOLDER_REVISION = re.compile(r"sha256:[0-9a-f]{64}")


class ModelEntry(Strict):
    """One model that workers may load or ask; nothing that is not listed is ever loaded."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str = Field(
        min_length=1, max_length=255, pattern=r"^\S+$", description="the name that a request sends as `model.name`"
    )
    family: str = Field(
        min_length=1,
        max_length=255,
        pattern=r"^[^|]+$",
        description="the group of models that share a law, such as `qwen3`",
    )
    path: str | None = Field(None, min_length=1, description="absolute folder of the weights on every worker")
    url: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        repr=False,
        description="address of an OpenAI-compatible server, up to `/v1`",
    )
    served_as: str | None = Field(
        None, min_length=1, max_length=255, description="what the server calls the model; null: its name"
    )
    api_key: SecretStr | None = Field(None, description="the server's key; never shown")
    revision: str = Field(
        min_length=1,
        max_length=80,
        description="for a folder `sha256:...`, as `gapcast models inspect PATH` prints it; for a server's model the "
        "version that it serves, such as the hub's commit",
    )
    parameters: int | None = Field(None, ge=1, description="number of weights")
    chat_template: bool | None = Field(None, description="true: its prompts are chat messages; null: not known")
    context_length: int | None = Field(None, ge=16, description="tokens of prompt and completion; null: not known")
    thinking: bool | None = Field(
        None, description="true: its chat template has a thinking mode that can be chosen; null: not known"
    )
    needs: Needs = Field(default_factory=Needs, description="what a probe of it needs of a worker")
    training_needs: Needs | None = Field(None, description="the same for a training run; null: as a probe")

    @field_validator("api_key")
    @classmethod
    def _is_sent_as_it_is(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None:
            return None
        stripped = key.get_secret_value().strip()
        if not VISIBLE.fullmatch(stripped):
            raise ValueError("expected visible ASCII characters without spaces, got something else. Correct the key.")
        return SecretStr(stripped)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if self.name.startswith(LAB_PREFIX):
            raise ValueError(
                f"name: {self.name!r} begins with {LAB_PREFIX!r}, the prefix of the lab's models. Choose another."
            )
        if (self.path is None) == (self.url is None):
            got = "neither" if self.path is None else "both"
            raise ValueError(f"path: expected a path (a folder on the workers) or a url (a server), got {got}.")
        if self.path is not None:
            self._check_folder(self.path)
        if self.url is not None:
            self._check_url(self.url)
            self.url = self.url.rstrip("/")
        return self

    def _check_folder(self, path: str) -> None:
        if not PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError(f"path: expected an absolute path, got {path[:200]!r}. Workers may start in any folder.")
        if not FOLDER_REVISION.fullmatch(self.revision):
            raise ValueError(
                f"revision: expected `sha256:` and 64 hex digits, got {self.revision!r}. "
                f"`gapcast models inspect {path[:200]}` prints the folder's revision."
            )
        for name in ("served_as", "api_key"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name}: belongs to a model with a url. Leave it out of a model with a path.")

    @staticmethod
    def _check_url(url: str) -> None:
        # the url itself is not shown: a password may stand in it
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("url: expected a URL such as http://gpu-box:8000/v1, got another text.") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
            raise ValueError(
                "url: expected http:// or https:// and a host, such as http://gpu-box:8000/v1, got another text."
            )
        if parts.username is not None or parts.password is not None:
            raise ValueError("url: contains a user or a password, which logs would show. Use api_key.")
        if parts.query or parts.fragment:
            raise ValueError("url: contains a query or a fragment. End it with its path, such as /v1.")

    @property
    def source(self) -> Literal["folder", "server"]:
        """Where the model is."""
        return "folder" if self.path is not None else "server"


def repeated(entries: Sequence[ModelEntry]) -> str | None:
    """The first name that is there twice."""
    names = [entry.name for entry in entries]
    return next((name for index, name in enumerate(names) if name in names[:index]), None)
