"""How much consents were used."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    select,
    union_all,
)

from consent.given_elsewhere import given_elsewhere
from consent.tables import (
    ANSWER,
    CONSENT,
    CONSENT_NAME,
    CONSENT_USE,
    FOLLOWED,
    SUBJECT_USE,
    SUBJECT_USES,
)
from creditgate.v1.usage_log_pb2 import UsageKind


@dataclass(frozen=True, slots=True)
class Use:
    """How much a consent was used.

    ``answered`` counts answered requests; ``last_at`` is when records were served last, None where
    none ever were: those of other regions among them, but where a part of the consent owes their
    removal. ``spent_at`` is when an answer used it up, as long as that end is not written. Times in
    seconds, UTC.
    """

    answered: int = 0
    last_at: int | None = None
    spent_at: int | None = None


def uses_of(connection: Connection, consent_ids: Collection[str]) -> dict[str, Use]:
    """Return how much each of these consents was used, within a transaction.

    Those that limit their use are counted as they are used. Others are counted by their
    answers: all serving under them would otherwise write what is read here now and then.
    """
    counted = (
        select(
            CONSENT_USE.c.consent_id,
            func.sum(CONSENT_USE.c.answered),
            func.max(CONSENT_USE.c.last_at),
            func.max(CONSENT_USE.c.spent_at),
        )
        .where(CONSENT_USE.c.consent_id.in_(consent_ids))
        .group_by(CONSENT_USE.c.consent_id)
    )
    uses = {row[0]: Use(int(row[1]), row[2], row[3]) for row in connection.execute(counted)}
    others = set(consent_ids) - uses.keys()
    if others:
        rows = connection.execute(_ANSWERED, {"consent_ids": sorted(others)})
        uses |= {row[0]: Use(int(row[1]), row[2]) for row in rows}
    for consent_id, given in given_elsewhere(connection, consent_ids).items():
        use = uses.get(consent_id, Use())
        served = [at for at in (use.last_at, given.last_at) if at is not None]
        uses[consent_id] = replace(
            use, answered=use.answered + given.answered, last_at=max(served, default=None)
        )
    return uses


def _answered() -> Select[*tuple[Any, ...]]:
    """Return the statement that counts consents' answers: those the index of uses has, and
    those behind it. One statement, so that none is missed or counted twice while the index
    comes further."""
    asked = CONSENT.c.consent_id.in_(bindparam("consent_ids", expanding=True))
    # What it held besides, such as what is public, is not served under a consent.
    held = func.coalesce(ANSWER.c.opened_entries, ANSWER.c.entry_count).label("held")
    answer = (CONSENT.c.consent_id, ANSWER.c.served_at, held)
    indexed = (
        select(*answer)
        .select_from(CONSENT)
        .join(SUBJECT_USE, SUBJECT_USE.c.subject == CONSENT.c.subject)
        .join(
            ANSWER,
            (ANSWER.c.sequence == SUBJECT_USE.c.usage_sequence)
            & (ANSWER.c.consent == CONSENT_NAME),
        )
        .where(asked)
    )
    come_to = (
        select(FOLLOWED.c.sequence)
        .where(FOLLOWED.c.name == literal(SUBJECT_USES) + CONSENT.c.operator_id)
        .scalar_subquery()
    )
    behind = (
        select(*answer)
        .select_from(CONSENT)
        .join(
            ANSWER,
            (ANSWER.c.operator_id == CONSENT.c.operator_id)
            & (ANSWER.c.sequence > func.coalesce(come_to, 0))
            # What credits an answer is no answer; the index has none of these.
            & (ANSWER.c.kind == literal_column(str(int(UsageKind.USAGE_KIND_ANSWER))))
            & (ANSWER.c.consent != literal_column("''"))
            & (ANSWER.c.consent == CONSENT_NAME),
        )
        .where(asked)
    )
    both = union_all(indexed, behind).subquery()
    last_at = func.max(case((both.c.held > 0, both.c.served_at)))
    return select(both.c.consent_id, func.count(), last_at).group_by(both.c.consent_id)


_ANSWERED: Final = _answered()
