"""Regions that gave records under consents kept here: each is told once no copy of what it gave is
held any more (guarantee G9).

Who asks a region writes it down first: what the region serves may be lost on its way, and it waits
for a word all the same.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, case, delete, func, select, update

from consent.connections import reader, writing
from consent.inserts import INSERT
from consent.model import DAY_SECONDS, NAME_PREFIX, Consent
from consent.owed import gone_since, is_told
from consent.part_names import part_id
from consent.queries import ConsentQueries
from consent.states import EXPIRED, REFUSED, REVOKED
from consent.tables import (
    CONSENT_REGION,
    ELSEWHERE_UNDER_CONSENT,
    OPENED_ELSEWHERE,
    REGION_ANSWER,
)

LATE_SECONDS: Final = 600
"""An answer comes within this after it was asked for, or never."""
FIRST_PAUSE_SECONDS: Final = 60
"""A region that knows nothing of a removal is told again after this at first."""
_MOST_DOUBLED: Final = 10
_R: Final = CONSENT_REGION.c
_A: Final = REGION_ANSWER.c
# One that is used up may answer a retry of its answers.
_OVER: Final = frozenset({REFUSED, REVOKED, EXPIRED})


class GoneUnder(NamedTuple):
    """All copies of what a region gave under a consent (its id) are gone since ``removed_at``; the
    region was asked under it at ``asked_at`` last (seconds, UTC)."""

    region: str
    consent_id: str
    removed_at: int
    asked_at: int

    @property
    def consent(self) -> str:
        """Resource name of the consent."""
        return NAME_PREFIX + self.consent_id


class _Given(NamedTuple):
    """When a region served under a consent last, by its clock, and when what the consent opened of
    that was passed on last, by this one's (seconds, UTC)."""

    served_at: int
    passed_on_at: int | None


class SqlConsentRegions:
    """The regions asked under the consents of one store. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = reader(engine)
        self._consents = ConsentQueries(engine)

    def asking(self, consent_id: str, region: str, now: int) -> None:
        """Keep that a region, by its entity identifier, is asked under a consent at ``now``
        (seconds, UTC). Raises what the store raises; it may not be asked then."""
        add = INSERT[self._engine.dialect.name](CONSENT_REGION).values(
            consent_id=consent_id, region=region, asked_at=now, look_at=now + LATE_SECONDS, tries=0
        )
        again = {name: add.excluded[name] for name in ("asked_at", "look_at", "tries")}
        with writing(self._engine) as connection:
            connection.execute(
                add.on_conflict_do_update(index_elements=[_R.consent_id, _R.region], set_=again)
            )

    def gone(self, now: int, limit: int) -> list[GoneUnder]:
        """Return what regions can be told at ``now`` (seconds, UTC), of each up to ``limit`` that
        are to be looked at; of the others write when to look next."""
        due = select(CONSENT_REGION).where(_R.look_at <= now).order_by(_R.look_at).limit(limit)
        with self._reader.connect() as connection:
            # By region, so that none waits behind one that cannot be told.
            regions = connection.execute(select(_R.region).distinct()).scalars().all()
            rows = [
                row for each in regions for row in connection.execute(due.where(_R.region == each))
            ]
            given = _given(connection, {row.consent_id for row in rows})
        consents = self._consents.readable({row.consent_id for row in rows})
        found: list[GoneUnder] = []
        later: list[tuple[Row[Any], int]] = []
        for row in rows:
            consent = consents.get(row.consent_id)
            if consent is None:
                # Another version can read it.
                later.append((row, now + DAY_SECONDS))
                continue
            its = given.get((row.consent_id, row.region))
            removed_at = self._removed_at(consent, row, its, now)
            if removed_at is None:
                later.append((row, _next_look(consent, row.asked_at, its, now)))
                continue
            # Not before what the region served last, for all that is known: it would not take it.
            served_at = 0 if its is None else its.served_at
            removed_at = max(removed_at, served_at, row.asked_at + LATE_SECONDS)
            found.append(GoneUnder(row.region, row.consent_id, removed_at, row.asked_at))
        self._look(later)
        return found

    def told(self, told: Collection[GoneUnder]) -> None:
        """Keep that regions were told; those that were asked anew since are told again."""
        with writing(self._engine) as connection:
            for each in told:
                connection.execute(delete(CONSENT_REGION).where(*_as_read(each)))

    def unknown(self, unknown: Collection[GoneUnder], now: int) -> None:
        """Keep that at ``now`` (seconds, UTC) regions knew nothing of these, or did not take them:
        they are told again, ever more seldom, until they cannot be waiting any more."""
        ids = {each.consent_id for each in unknown}
        consents = self._consents.readable(ids)
        with writing(self._engine) as connection:
            for each in unknown:
                consent = consents.get(each.consent_id)
                life = 0 if consent is None else consent.terms.data_life_seconds
                # By then it knows by itself that the life of all it served is over.
                if now >= each.asked_at + LATE_SECONDS + life + DAY_SECONDS:
                    connection.execute(delete(CONSENT_REGION).where(*_as_read(each)))
                    continue
                tries = connection.execute(select(_R.tries).where(*_as_read(each))).scalar() or 0
                pause = min(FIRST_PAUSE_SECONDS << min(tries, _MOST_DOUBLED), DAY_SECONDS)
                connection.execute(
                    update(CONSENT_REGION)
                    .where(*_as_read(each))
                    .values(tries=tries + 1, look_at=now + pause)
                )

    def _removed_at(
        self, consent: Consent, row: Row[Any], given: _Given | None, now: int
    ) -> int | None:
        """Return since when no copy is held, and none can come: None where that is not so."""
        life = consent.terms.data_life_seconds
        part = part_id(consent.consent_id, row.region)
        if given is None or given.passed_on_at is None:
            over = consent.state in _OVER or now >= row.asked_at + LATE_SECONDS + life
            return now if over or self._consents.get(part) is not None else None
        until = given.passed_on_at + life
        with self._reader.connect() as connection:
            # What was taken back there is of its part, whatever is said of the rest.
            apart = is_told(connection, part, until)
            return gone_since(connection, part if apart else consent.consent_id, until)

    def _look(self, later: Collection[tuple[Row[Any], int]]) -> None:
        """Write when to look at rows next."""
        if not later:
            return
        with writing(self._engine) as connection:
            for row, look_at in later:
                connection.execute(
                    update(CONSENT_REGION)
                    .where(
                        _R.consent_id == row.consent_id,
                        _R.region == row.region,
                        # Whoever ended the consent meanwhile had it looked at sooner.
                        _R.look_at == row.look_at,
                    )
                    .values(look_at=look_at)
                )


def regions_under(connection: Connection, consent_id: str) -> set[str]:
    """Return the regions that were asked under a consent, as far as that still matters, or gave
    records under it, by their entity identifiers."""
    asked = select(_R.region).where(_R.consent_id == consent_id)
    gave = (
        select(_A.region)
        .where(_A.consent == NAME_PREFIX + consent_id, ELSEWHERE_UNDER_CONSENT)
        .distinct()
    )
    return {*connection.execute(asked).scalars(), *connection.execute(gave).scalars()}


def stir(connection: Connection, consent_id: str, now: int) -> None:
    """Have it looked at, once no answer is on its way any more, what regions can be told of a
    consent that has ended at ``now`` (seconds, UTC), or whose copies are gone by word."""
    earliest = _R.asked_at + LATE_SECONDS
    connection.execute(
        update(CONSENT_REGION)
        .where(_R.consent_id == consent_id)
        .values(look_at=case((earliest > now, earliest), else_=now), tries=0)
    )


def _next_look(consent: Consent, asked_at: int, given: _Given | None, now: int) -> int:
    """Return when to look again whether nothing is held: an end, or a word, is looked at by
    itself."""
    if given is None or given.passed_on_at is None:
        return asked_at + LATE_SECONDS + consent.terms.data_life_seconds
    return now + DAY_SECONDS


def _given(connection: Connection, consent_ids: Collection[str]) -> dict[tuple[str, str], _Given]:
    """Return what regions served under consents, by consent and region."""
    query = (
        select(
            _A.consent,
            _A.region,
            func.max(_A.served_at),
            func.max(case((OPENED_ELSEWHERE, _A.recorded_at))),
        )
        .where(
            _A.consent.in_([NAME_PREFIX + each for each in consent_ids]), ELSEWHERE_UNDER_CONSENT
        )
        .group_by(_A.consent, _A.region)
    )
    return {
        (name.removeprefix(NAME_PREFIX), region): _Given(*at)
        for name, region, *at in connection.execute(query)
    }


def _as_read(gone: GoneUnder) -> Sequence[Any]:
    return (
        _R.consent_id == gone.consent_id,
        _R.region == gone.region,
        _R.asked_at == gone.asked_at,
    )
