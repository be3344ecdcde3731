"""What a migration's SQL on PostgreSQL takes from code that was written before it: a table or a
column that is gone or has another name or type, or a row that it may no longer write."""

import re
from collections.abc import Set
from typing import Final

_DROPPED: Final = re.compile(r"DROP TABLE (?:IF EXISTS )?(\w+)", re.IGNORECASE)
_ALTERED: Final = re.compile(r"ALTER TABLE (?:ONLY )?(\w+) (.*)", re.IGNORECASE)
_UNIQUE: Final = re.compile(
    r"CREATE UNIQUE INDEX (?:CONCURRENTLY )?.* ON (?:ONLY )?(\w+)", re.IGNORECASE
)
_TAKING: Final = re.compile(
    r"DROP (?!NOT NULL|DEFAULT)"
    r"|RENAME"
    r"|ALTER COLUMN \w+ (?:SET DATA )?TYPE"
    r"|ALTER COLUMN \w+ (?:SET NOT NULL|DROP DEFAULT)"
    r"|ADD CONSTRAINT"
    r"|ADD (?:COLUMN )?\w+ (?!.*\bDEFAULT\b).*NOT NULL",
    re.IGNORECASE,
)


def taken_from(statement: str, there: Set[str]) -> set[str]:
    """Return the tables of ``there`` from which a statement takes what former code uses."""
    line = " ".join(statement.split())
    found: set[str] = set()
    if dropped := _DROPPED.match(line):
        found.add(dropped[1])
    if (altered := _ALTERED.match(line)) and _TAKING.search(altered[2]):
        found.add(altered[1])
    if unique := _UNIQUE.match(line):
        found.add(unique[1])
    return found & there
