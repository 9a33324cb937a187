"""Logging: one line an event on standard error, in words, or as JSON where the setting `log_format` asks for it."""

import asyncio
import logging
import os
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from service.settings import Settings

COLOURS = {"warning": "\033[33m", "error": "\033[31m", "critical": "\033[31m"}
RESET = "\033[0m"


def configure(settings: Settings) -> None:
    """Set up structlog, and the logging of the libraries, by the settings."""
    level = getattr(logging, settings.log_level.upper())
    shared: list[Processor] = [structlog.processors.add_log_level]
    last: Processor
    if settings.log_format == "json":
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
        last = structlog.processors.JSONRenderer()
    else:
        shared.append(structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False))
        last = Text(colours=sys.stderr.isatty() and not os.environ.get("NO_COLOR"))
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # a line at once: others write to the same terminal
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                last,
            ],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler])
    logging.getLogger("uvicorn.error").addFilter(_is_not_a_stop)


def _is_not_a_stop(record: logging.LogRecord) -> bool:
    """False for what uvicorn reports of each request that a stop cuts off, such as the event stream of an open page."""
    cancelled = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cancelled and not str(record.msg).startswith("Cancel %s running task(s)")


class Text:
    """Render an event for a person: `2026-03-01 12:00:00 warning: worker died code=-9 restart_in_seconds=1.0`."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        """Return the line; a traceback follows on lines of its own."""
        time, level, words = event.pop("timestamp"), event.pop("level"), str(event.pop("event"))
        library, traceback = event.pop("logger", None), event.pop("exception", None)
        if library is None:
            words = words.replace("_", " ")
        elif library == "py.warnings":
            words = _python_warning(words)
        else:
            words = f"{library}: {words}"
        fields = "".join(f" {name}={_value(value)}" for name, value in event.items())
        line = f"{words}{fields}" if level == "info" else f"{self._coloured(level)}: {words}{fields}"
        return f"{time} {line}" + (f"\n{traceback}" if traceback else "")

    def _coloured(self, level: str) -> str:
        colour = COLOURS.get(level) if self._colours else None
        return f"{colour}{level}{RESET}" if colour else level


def _value(value: object) -> str:
    """Return a field's value on one line: an error as its message, a text in quotes where it is not one word."""
    if isinstance(value, dict) and "message" in value:
        value = value["message"]
    text = str(value)
    plain = text and text.isprintable() and not any(character in text for character in " \"'=")
    return text if plain else repr(text)


def _python_warning(text: str) -> str:
    """Return `path:12: FutureWarning: ...` on one line and without the source line that Python adds."""
    lines = text.splitlines()
    if len(lines) > 1 and lines[-1].startswith("  "):  # the source, where Python finds it
        lines.pop()
    return " ".join(line.strip() for line in lines if line.strip())
