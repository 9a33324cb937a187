"""Alembic's migrations; part of the wheel, so that an installed Gapcast can migrate."""
