"""The table of the slots that workers have for jobs."""

from datetime import datetime

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.needs import Offer
from service.kit.clock import Timestamp
from service.kit.database import Base, JsonOf


class Slots(Base):
    """One worker's slots for the jobs of one queue. Workers serve all tenants."""

    __tablename__ = "slots"

    worker: Mapped[str] = mapped_column(String(255), primary_key=True)
    queue: Mapped[str] = mapped_column(String(16), primary_key=True)
    slots: Mapped[int] = mapped_column(Integer)
    offer: Mapped[Offer] = mapped_column(JsonOf(Offer))
    expires_at: Mapped[datetime] = mapped_column(Timestamp)
    """without another sign of life until then, the worker counts as gone"""
