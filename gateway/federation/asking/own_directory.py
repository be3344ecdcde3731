"""This region's own directory: made of its disclosure, when a peer asks and it has aged."""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple, Protocol

from sqlalchemy import Engine, select

from creditgate.refusal import Refused
from creditgate.transparency.note import Signer
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.disclose.tables import LINES, REVISIONS
from gateway.federation.asking.directory_note import (
    FRESH_SECONDS,
    Named,
    epoch_of,
    named_by,
    note_of,
)
from gateway.federation.asking.subject_filter import SubjectFilter, TooManySubjects, filter_of
from gateway.storage.engines import reading


class Secrets(Protocol):
    """The installation's secrets; see `gateway.transparency.salts.Salts`."""

    def directory(self, epoch: int) -> bytes:
        """Return the key of the directories of an epoch, 32 bytes."""
        ...


class Published(NamedTuple):
    """A directory as it is given to peers."""

    named: Named
    note: str
    filter: SubjectFilter


class OwnDirectory:
    """Makes the directory; calls block, any thread.

    ``entity_id`` is this region's, ``public_items`` gives the codes of the items of openness
    PUBLIC, ``now`` seconds UTC.
    """

    def __init__(
        self,
        entity_id: str,
        records: Engine,
        secrets: Secrets,
        signer: Signer,
        public_items: Callable[[], frozenset[str]],
        now: Callable[[], int],
    ) -> None:
        self._entity_id = entity_id
        self._records = records
        self._secrets = secrets
        self._signer = signer
        self._public_items = public_items
        self._now = now
        self._making = Lock()
        self._published: Published | None = None

    def newest(self) -> Published:
        """Return the directory, `FRESH_SECONDS` old at most.

        Raises Refused TEMPORARILY_UNAVAILABLE where there are more subjects than one holds:
        then this region is asked about everybody; and what the store raises.
        """
        # Whoever asks meanwhile waits for the one that is made.
        with self._making:
            now, known = self._now(), self._published
            if known is None or not 0 <= now - known.named.made_at < FRESH_SECONDS:
                known = self._published = self._made(now)
        return known

    def _made(self, now: int) -> Published:
        try:
            made = filter_of(self._subjects(now), self._secrets.directory(epoch_of(now)))
        except TooManySubjects:
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "This region has more subjects than a directory holds; ask it about everybody.",
                retry_after=3_600,
            ) from None
        named = named_by(self._entity_id, now, made)
        return Published(named, note_of(named, self._signer), made)

    def _subjects(self, now: int) -> list[str]:
        """Return whom there are public records of: disclosed now, or later while the directory
        is relied on."""
        query = (
            select(REVISIONS.c.subject)
            .join(LINES, LINES.c.line_no == REVISIONS.c.line_no)
            .where(
                REVISIONS.c.ended_by == 0,
                REVISIONS.c.disclosed_until > now,
                LINES.c.item.in_(self._public_items()),
            )
            .distinct()
        )
        with reading(self._records) as connection:
            return list(connection.execute(query).scalars())
