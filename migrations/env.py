"""Run by alembic: migrate over the connection that `service.migrate` hands in."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

from alembic import context

import service
import service.kit.idempotency  # its table is in no domain
from service.kit.database import Base

for _room in iter_modules(service.__path__):
    # imported, so that the metadata knows every table when a new revision is written
    if _room.ispkg and find_spec(f"service.{_room.name}.models") is not None and _room.name != "law":
        import_module(f"service.{_room.name}.models")

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
