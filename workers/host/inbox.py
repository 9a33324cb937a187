"""A child's lines between two writes: of progress and of results so far only the newest counts, all else is kept."""

from gapcast.contract.base import JsonObject

Event = tuple[str, JsonObject]
PROGRESS, PARTIAL = ".progress", ".partial"
"""how the names of those end of which the newest overtakes the others"""
SAMPLES = ".samples"
"""how the names of those end that their kind keeps, and no stream of events shows"""


class Inbox:
    """What a child has said and nobody has stored yet, in its order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.partial: JsonObject | None = None

    def __bool__(self) -> bool:
        return bool(self.events) or self.partial is not None

    def take(self, name: str, data: JsonObject) -> None:
        """Take one line."""
        if name.endswith(PARTIAL):
            self.partial = data
            return
        if name.endswith(PROGRESS):
            self.events = self.lasting
        self.events.append((name, data))

    @property
    def progress(self) -> JsonObject | None:
        """How far the job is; null: nothing new was said of it."""
        return next((data for name, data in self.events if name.endswith(PROGRESS)), None)

    def events_with(self, progress: JsonObject | None) -> list[Event]:
        """The events, with this in place of what the child has said of its progress."""
        return [(name, progress or data if name.endswith(PROGRESS) else data) for name, data in self.events]

    @property
    def lasting(self) -> list[Event]:
        """The events that are not overtaken by what comes after them, such as the job's end."""
        return [event for event in self.events if not event[0].endswith(PROGRESS)]

    def clear(self) -> None:
        """Forget what is stored now."""
        self.events, self.partial = [], None
