"""Keys by which subjects sign receipts themselves: at most a few for each subject."""

from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection, Engine, Row, Select, func, insert, select, update

from consent.connections import reader, take_turn, writing
from consent.model import DAY_SECONDS, CreditCode, Instant, Part
from consent.tables import SUBJECT_KEY
from consent.writes import wrote
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason

MOST_KEYS: Final = 8
MOST_A_DAY: Final = 50
"""Most keys that one subject brings within 24 hours, whatever became of them."""
_RETRY_SECONDS: Final = 3_600
_KEY_LOCK: Final = 0x6372736B
_KEY = SUBJECT_KEY.c


class SubjectKey(Part):
    """A public key of a subject.

    ``thumbprint`` is that of RFC 7638 (SHA-256, base64url, 43 characters), ``jwk`` the
    public key as JSON (RFC 7517), ``registered_by`` the principal who brought it, at
    ``registered_at`` (seconds, UTC).
    """

    subject: CreditCode
    thumbprint: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{43}$")]
    jwk: Annotated[str, Field(min_length=1, max_length=4_096)]
    registered_by: Annotated[str, Field(min_length=1, max_length=80)]
    registered_at: Instant


class SqlSubjectKeys:
    """The keys of one store. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = reader(engine)

    def register(
        self, subject: str, thumbprint: str, jwk_json: str, by: str, now: int
    ) -> SubjectKey:
        """Keep a key and return it; one that stands already is returned as it is.

        Raises Refused STATE_CONFLICT where `MOST_KEYS` stand, and for a key that was
        removed: whoever removed it may have had to; RATE_EXCEEDED after `MOST_A_DAY`.
        Raises pydantic.ValidationError for what is no key of this form.
        """
        key = SubjectKey(
            subject=subject,
            thumbprint=thumbprint,
            jwk=jwk_json,
            registered_by=by,
            registered_at=now,
        )
        with writing(self._engine) as connection:
            take_turn(connection, _KEY_LOCK)
            same = select(SUBJECT_KEY).where(_KEY.subject == subject, _KEY.thumbprint == thumbprint)
            row = connection.execute(same).one_or_none()
            if row is not None and row.removed_at is None:
                return _key(row)
            if row is not None:
                raise _conflict("This key was removed; make a new one.")
            counts = select(
                func.count().filter(_KEY.removed_at.is_(None)),
                func.count().filter(_KEY.registered_at > now - DAY_SECONDS),
            ).where(_KEY.subject == subject)
            standing, recent = connection.execute(counts).one()
            if standing >= MOST_KEYS:
                raise _conflict(f"{MOST_KEYS} keys stand already; remove one first.")
            if recent >= MOST_A_DAY:
                raise Refused(
                    RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                    f"{MOST_A_DAY} keys were brought within a day; wait.",
                    retry_after=_RETRY_SECONDS,
                )
            connection.execute(insert(SUBJECT_KEY).values(**key.model_dump()))
            wrote(connection, SUBJECT_KEY, subject, thumbprint)
        return key

    def standing(self, subject: str) -> tuple[SubjectKey, ...]:
        """Return the keys of a subject that were not removed, oldest first."""
        with self._reader.connect() as connection:
            return tuple(map(_key, connection.execute(_standing(subject))))

    def remove(self, subject: str, thumbprint: str, now: int) -> None:
        """Remove a key for good; one that is not there, or no more, is left so."""
        query = (
            update(SUBJECT_KEY)
            .where(
                _KEY.subject == subject, _KEY.thumbprint == thumbprint, _KEY.removed_at.is_(None)
            )
            .values(removed_at=now)
        )
        with writing(self._engine) as connection:
            if connection.execute(query).rowcount:
                wrote(connection, SUBJECT_KEY, subject, thumbprint)


def standing_keys(connection: Connection, subject: str) -> tuple[SubjectKey, ...]:
    """Return the keys of a subject, as `SqlSubjectKeys.standing` does; none of them is removed
    before the transaction ends."""
    return tuple(map(_key, connection.execute(_standing(subject).with_for_update(read=True))))


def _standing(subject: str) -> Select[Any]:
    return (
        select(SUBJECT_KEY)
        .where(_KEY.subject == subject, _KEY.removed_at.is_(None))
        .order_by(_KEY.registered_at, _KEY.thumbprint)
    )


def _key(row: Row[tuple[object, ...]]) -> SubjectKey:
    return SubjectKey(
        subject=row.subject,
        thumbprint=row.thumbprint,
        jwk=row.jwk,
        registered_by=row.registered_by,
        registered_at=row.registered_at,
    )


def _conflict(message: str) -> Refused:
    return Refused(RefusalReason.REFUSAL_REASON_STATE_CONFLICT, message)
