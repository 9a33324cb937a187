"""`python -m workers.tasks.sandbox`: prints each protection and whether it holds here."""

import sys

from workers.tasks.sandbox.probe import protections


def main() -> int:
    """Print them; 0 where all hold."""
    every = True
    for protection in protections():
        every = every and protection.holds
        print(f"{'yes' if protection.holds else 'NO ':4}{protection.name:13}{protection.detail}")  # noqa: T201
    return 0 if every else 1


if __name__ == "__main__":
    sys.exit(main())
