"""The columns of what users name and tag."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from service.kit.database import Json


class Labelled:
    """A row with a name and tags that its user chose; no hash of its content knows them."""

    name: Mapped[str | None] = mapped_column(String(200))
    tags: Mapped[list[str]] = mapped_column(Json, default=list, server_default="[]")
