"""Disputes of clearing by answer, with their versions and evidence. Those by record become those of
their answers: open ones are resolved anew, and their evidence is made and shown anew."""

import json
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0029"
branch_labels = None
depends_on = None

_DISPUTES, _VERSIONS = "clearing_disputes", "clearing_versions"
_CLAIMS, _EVIDENCE, _CLEARINGS = "clearing_claims", "clearing_evidence", "clearings"
_KEY = ("home", "asking", "request_id", "chunk")
_FIELDS = (*_KEY, "record_id", "revision", "item", "serve_seconds", "fee")
_CONTENT, _HOME_ONLY, _ASKING_ONLY, _FEE = 4, 2, 1, 3
_OLD = sa.table(
    _DISPUTES,
    *map(sa.column, ("dispute_id", "region", "home_entry", "asking_entry", "found", "closed")),
)
_WRITES = sa.table("evidence_writes", sa.column("written"), sa.column("row_key"))


def upgrade() -> None:
    """Make the tables anew, and take over what is in dispute."""
    connection = op.get_bind()
    before = connection.execute(sa.select(_OLD)).mappings().all()
    op.drop_table(_EVIDENCE)
    op.drop_index("ix_clearing_disputes_region", _DISPUTES)
    op.drop_table(_DISPUTES)
    _create()
    # What was proposed lists its disputes by record: it is proposed anew.
    proposed = sa.table(_CLEARINGS, sa.column("number"), sa.column("agreed_at"))
    unsigned = sa.select(proposed.c.number).where(proposed.c.agreed_at.is_(None))
    numbers = connection.execute(unsigned).scalars().all()
    connection.execute(proposed.delete().where(proposed.c.agreed_at.is_(None)))
    disputes, versions = _by_answer([dict(row) for row in before])
    for name, rows in ((_DISPUTES, disputes), (_VERSIONS, versions)):
        if rows:
            table = sa.table(name, *map(sa.column, rows[0]))
            connection.execute(table.insert(), rows)
    changed = {each["dispute_id"] for each in (*before, *disputes)}
    told = [
        *((_DISPUTES, [each]) for each in sorted(changed)),
        *((_VERSIONS, [each["dispute_id"], each["since"]]) for each in versions),
        *((_CLEARINGS, [number]) for number in numbers),
    ]
    if told:
        rows = [
            {"written": table, "row_key": json.dumps(key, separators=(",", ":"))}
            for table, key in told
        ]
        connection.execute(_WRITES.insert(), rows)


def downgrade() -> None:
    """Make the tables as they were: what is in dispute is lost."""
    op.drop_table(_CLAIMS)
    for name, columns in _INDICES:
        op.drop_index(f"ix_{columns[0]}", name)
    for table in (_EVIDENCE, _VERSIONS, _DISPUTES):
        op.drop_table(table)
    op.create_table(
        _DISPUTES,
        sa.Column("dispute_id", sa.String(64), primary_key=True),
        sa.Column("region", sa.String(255), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("home_entry", sa.Text(), nullable=False),
        sa.Column("asking_entry", sa.Text(), nullable=False),
        sa.Column("supported", sa.SmallInteger(), nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger()),
        sa.Column("stands", sa.SmallInteger(), nullable=False),
        sa.Column("stands_version", sa.String(64), nullable=False, server_default=""),
        sa.Column("resolved_by", sa.String(255), nullable=False),
        sa.Column("resolved_at", sa.BigInteger()),
        sa.Column("note", sa.Text(), nullable=False),
    )
    op.create_index("ix_clearing_disputes_region", _DISPUTES, ["region", "closed"])
    op.create_table(
        _EVIDENCE,
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("until", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
    )


_INDICES = (
    (_DISPUTES, ("clearing_disputes_region", "region", "closed")),
    (_DISPUTES, ("clearing_disputes_tried", "region", "proved", "tried")),
    (_VERSIONS, ("clearing_versions_region", "region", "since")),
    (_VERSIONS, ("clearing_versions_region_ended", "region", "ended")),
    (_EVIDENCE, ("clearing_evidence_region_shown", "region", "own", "shown")),
)


def _create() -> None:
    op.create_table(
        _DISPUTES,
        sa.Column("dispute_id", sa.String(64), primary_key=True),
        sa.Column("region", sa.String(255), nullable=False),
        sa.Column("home", sa.String(255), nullable=False),
        sa.Column("asking", sa.String(255), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger()),
        sa.Column("supported", sa.SmallInteger(), nullable=False),
        sa.Column("stands", sa.SmallInteger(), nullable=False),
        sa.Column("stands_version", sa.String(64), nullable=False),
        sa.Column("resolved_by", sa.String(255), nullable=False),
        sa.Column("resolved_at", sa.BigInteger()),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("proved", sa.Boolean(), nullable=False),
        sa.Column("tried", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        _VERSIONS,
        sa.Column("dispute_id", sa.String(64), primary_key=True),
        sa.Column("since", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("region", sa.String(255), nullable=False),
        sa.Column("ended", sa.BigInteger()),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("served", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("home_version", sa.String(64), nullable=False),
        sa.Column("asking_version", sa.String(64), nullable=False),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("asking", sa.Text(), nullable=False),
        sa.Column("home_entries", sa.Text(), nullable=False),
        sa.Column("asking_entries", sa.Text(), nullable=False),
    )
    op.create_table(
        _CLAIMS,
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("dispute_id", sa.String(64), primary_key=True),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Text(), nullable=False),
    )
    op.create_table(
        _EVIDENCE,
        sa.Column("dispute_id", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("region", sa.String(255), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("shown", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
    )
    for name, (index, *columns) in _INDICES:
        op.create_index(f"ix_{index}", name, columns)


def _by_answer(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the disputes of answers, and their versions, that disputes of records make up: an
    answer is open where one of its records is, and of those alone."""
    grouped: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        entry = json.loads(row["home_entry"] or row["asking_entry"])
        grouped.setdefault(tuple(entry[name] for name in _KEY), []).append(row)
    disputes: list[dict[str, Any]] = []
    versions: list[dict[str, Any]] = []
    for key, every in grouped.items():
        is_open = any(row["closed"] is None for row in every)
        records = [row for row in every if row["closed"] is None] if is_open else every
        name = "\n".join(("creditgate/clearing-answer/v1", *map(str, key)))
        dispute_id = f"dispute-{sha256(name.encode()).digest()[:16].hex()}"
        home, asking = (_entries(records, side) for side in ("home_entry", "asking_entry"))
        closed = None if is_open else max(row["closed"] for row in records)
        since = max(row["found"] for row in records)
        versions.append(
            {
                "dispute_id": dispute_id,
                "since": since,
                "region": records[0]["region"],
                "ended": closed,
                "kind": _kind(home, asking),
                "served": max((entry[7] for entry in home), default=0),
                "entries": len(home) + len(asking),
                "home_version": _version(key, home)[0],
                "asking_version": _version(key, asking)[0],
                "home": _version(key, home)[1],
                "asking": _version(key, asking)[1],
                "home_entries": _text(key, home),
                "asking_entries": _text(key, asking),
            }
        )
        disputes.append(
            {
                "dispute_id": dispute_id,
                "region": records[0]["region"],
                **dict(zip(_KEY, key, strict=True)),
                "found": min(row["found"] for row in records),
                "since": since,
                "closed": closed,
                "supported": 0,
                "stands": 0,
                "stands_version": "",
                "resolved_by": "",
                "resolved_at": None,
                "note": "",
                "proved": False,
                "tried": 0,
            }
        )
    return disputes, versions


def _entries(records: Sequence[dict[str, Any]], side: str) -> list[tuple[Any, ...]]:
    read = (json.loads(row[side]) for row in records if row[side])
    return sorted(tuple(entry[name] for name in _FIELDS) for entry in read)


def _kind(home: Sequence[tuple[Any, ...]], asking: Sequence[tuple[Any, ...]]) -> int:
    if not home or not asking:
        return _HOME_ONLY if home else _ASKING_ONLY
    free = [sorted(entry[:8] for entry in entries) for entries in (home, asking)]
    return _FEE if free[0] == free[1] else _CONTENT


def _version(key: Sequence[Any], entries: Sequence[tuple[Any, ...]]) -> tuple[str, str]:
    """Return the digest of a version and its text, "" for none."""
    if not entries:
        return "", ""
    digests = sorted(
        sha256("\n".join(("creditgate/clearing-entry/v1", *map(str, entry))).encode()).digest()
        for entry in entries
    )
    whole = sha256(b"".join(digests)).hexdigest()
    counts = Counter((entry[7], entry[6], entry[8]) for entry in entries)
    lines = [[*alike, number] for alike, number in sorted(counts.items())]
    parts = ("creditgate/clearing-version/v1", *map(str, key))
    parts += (*(str(field) for line in lines for field in line), whole)
    text = json.dumps([list(key), lines, whole], ensure_ascii=False, separators=(",", ":"))
    return sha256("\n".join(parts).encode()).hexdigest(), text


def _text(key: Sequence[Any], entries: Sequence[tuple[Any, ...]]) -> str:
    if not entries:
        return ""
    rows = [list(key), *(list(entry[4:]) for entry in entries)]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
