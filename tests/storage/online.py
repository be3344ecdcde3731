"""What a migration's SQL on PostgreSQL does to a table that is in use: which statements hold it
locked for as long as its rows last.

Source: the manual of PostgreSQL, ALTER TABLE (notes), CREATE INDEX, and Explicit Locking.
"""

import re
from collections.abc import Set
from typing import Final

BIG: Final = frozenset(
    {
        "audit_decisions", "audit_facts", "consent_changes", "consent_use", "consent_writes",
        "consented_copies", "consents", "credited_uses", "disclosure_events",
        "disclosure_log_heads", "ended_blocks", "evidence_writes", "log_bundles", "log_tiles",
        "map_members", "map_sets", "map_tiles", "record_revisions", "refusals", "region_answers",
        "region_replays", "region_uses", "revision_blocks", "served_blocks", "subject_uses",
        "usage_answers", "usage_replays",
    }
)  # fmt: skip
"""Tables with a row for each record, each answer or each event, or a share of that."""

_ALTER: Final = re.compile(r"ALTER TABLE (?:ONLY )?(\w+) (.*)", re.IGNORECASE)
_INDEX: Final = re.compile(
    r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).* ON (?:ONLY )?(\w+)", re.IGNORECASE
)
_EVERY_ROW: Final = re.compile(
    r"(?:UPDATE|DELETE FROM|LOCK TABLE|TRUNCATE|CLUSTER|VACUUM FULL) (?:ONLY )?(\w+)|DROP TABLE (\w+)", re.IGNORECASE
)  # fmt: skip
_FROM: Final = re.compile(r"(?:FROM|JOIN) (\w+)", re.IGNORECASE)
# Nothing is written, and it is no more than a page: the manual's chapter on LIMIT.
_PAGE: Final = re.compile(r"SELECT .* ORDER BY .* LIMIT", re.IGNORECASE)
# Whatever of these an ALTER TABLE does takes it through every row.
_SLOW: Final = re.compile(
    r"ALTER COLUMN \w+ (?:SET DATA )?TYPE"
    r"|ALTER COLUMN \w+ SET NOT NULL"
    r"|ADD CONSTRAINT (?!.*(?:NOT VALID|USING INDEX))"
    r"|ADD (?:COLUMN )?\w+ .*(?:SERIAL|GENERATED|REFERENCES|UNIQUE|PRIMARY KEY|DEFAULT \w+\()"
    r"|SET (?:LOGGED|UNLOGGED|TABLESPACE|ACCESS METHOD)",
    re.IGNORECASE,
)


def long_locked(statement: str, there: Set[str]) -> set[str]:
    """Return the big tables of ``there`` that a statement holds, or reads, row by row."""
    line = " ".join(statement.split())
    found: set[str] = set()
    if (altered := _ALTER.match(line)) and _SLOW.search(altered[2]):
        found.add(altered[1])
    if indexed := _INDEX.match(line):
        found.add(indexed[1])
    if every := _EVERY_ROW.match(line):
        found.add(every[1] or every[2])
    if line.upper().startswith(("SELECT", "INSERT", "WITH", "UPDATE")) and not _PAGE.match(line):
        found |= set(_FROM.findall(line))
    return found & BIG & there
