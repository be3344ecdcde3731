"""Disputes that were by record are by answer after the upgrade: none is lost, none is closed."""

import json
from typing import Any

from alembic import command
from sqlalchemy import select, text

from creditgate.clearing_disputes import FEE, HOME_ONLY, Dispute, dispute_id
from creditgate.clearing_entries import ClearingEntry
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.stands import ASKING, HOME, UNDECIDED
from gateway.storage.migrate import alembic_config, upgrade_all
from gateway.storage.writes import WRITES
from tests.stores import PostgresStores, SqliteStores, engines_of

EAST, WEST = "https://east.invalid", "https://west.invalid"
BEFORE = "0024"


def entry(request_id: str, record: str, fee: int = 5) -> ClearingEntry:
    return ClearingEntry(WEST, EAST, request_id, 0, record, 1, "penalty", 90, fee)


def row(number: int, home: Any, asking: Any, closed: int | None = None) -> dict[str, Any]:
    """Return a dispute as it was kept, of two that were conceded to the home region."""
    return {
        "id": f"dispute-{number}",
        "home": "" if home is None else json.dumps(home._asdict()),
        "asking": "" if asking is None else json.dumps(asking._asdict()),
        "found": 100 + number,
        "closed": closed,
    }


def test_disputes_on_records_become_disputes_on_their_answers(
    stores: SqliteStores | PostgresStores,
) -> None:
    first, second = entry("q-1", "a"), entry("q-1", "b", 7)
    rows = [
        row(1, first, None),
        row(2, second, None),
        row(3, entry("q-1", "c"), None, 130),
        row(4, entry("q-2", "d"), entry("q-2", "d", 6)),
        row(5, entry("q-3", "e"), None, 140),
    ]
    with stores.database(migrated=False) as store, engines_of(*store) as engines:
        config = alembic_config("evidence")
        with engines.evidence.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, BEFORE)
            connection.execute(
                text(
                    "INSERT INTO clearing_disputes (dispute_id, region, kind, home_entry,"
                    " asking_entry, supported, found, closed, stands, stands_version, resolved_by,"
                    f" note) VALUES (:id, '{WEST}', 2, :home, :asking, 1, :found, :closed, 1,"
                    " 'v', 'somebody', 'why')"
                ),
                rows,
            )
        upgrade_all(engines)
        disputes = SqlDisputes(engines.evidence)
        opened = disputes.opened(WEST)
        assert {opened[first.answer.id].kind, opened[entry("q-2", "d").answer.id].kind} == {
            HOME_ONLY,
            FEE,
        }
        assert len(opened) == 2
        for home, asking in (
            ((first, second), ()),
            ((entry("q-2", "d"),), (entry("q-2", "d", 6),)),
        ):
            found = opened[home[0].answer.id]
            # As it is of a dispute that is found now, and resolved anew.
            assert found.shown == Dispute(HOME_ONLY, home, asking).shown
            assert (found.stand, found.served, found.entries) == (
                UNDECIDED,
                90,
                len(home) + len(asking),
            )
            assert disputes.entries(found, HOME) == home
            assert disputes.entries(found, ASKING) == asking
        for until, number in ((139, 3), (140, 2)):
            assert len(disputes.left_out(WEST, until, after="", limit=9)) == number
        assert disputes.closed(WEST) == {entry("q-3", "e").answer.id}
        with engines.evidence.connect() as connection:
            written = connection.execute(select(WRITES.c.written, WRITES.c.row_key)).all()
        for each in ("dispute-1", "dispute-5", dispute_id(first.answer.id)):
            assert ("clearing_disputes", json.dumps([each])) in written
        assert ("clearing_versions", f'["{dispute_id(first.answer.id)}",102]') in written
