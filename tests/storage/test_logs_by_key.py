"""What a witness cosigned is kept by the keys of logs: evidence 0028, both ways."""

from alembic import command
from sqlalchemy import delete, insert, select

from gateway.federation.witness.tables import WITNESSED, WITNESSED_LOGS
from gateway.storage.engines import Engines
from gateway.storage.migrate import alembic_config, upgrade

ORIGIN = "abroad.invalid/log/disclosure"


def _log(key: str, act: int) -> dict[str, object]:
    return {
        "origin": ORIGIN,
        "region": "https://abroad.invalid",
        "log_key": key,
        "size": 2,
        "root": b"r",
        "note": "n",
        "cosignature": "c",
        "cosigned_at": 1,
        "act": act,
    }


def _seen(key: str, size: int) -> dict[str, object]:
    return {"origin": ORIGIN, "log_key": key, "size": size, "root": b"r", "note": key}


def test_what_was_cosigned_before_is_found_by_the_key_of_its_log(engines: Engines) -> None:
    evidence, config = engines.evidence, alembic_config("evidence")

    def kept() -> list[tuple[str, int]]:
        with evidence.connect() as connection:
            found = connection.execute(
                select(WITNESSED.c.log_key, WITNESSED.c.size).order_by(*WITNESSED.primary_key)
            )
            return [(row.log_key, row.size) for row in found]

    with evidence.begin() as connection:
        connection.execute(insert(WITNESSED_LOGS), [_log("first", 1), _log("second", 2)])
        connection.execute(
            insert(WITNESSED), [_seen("first", 1), _seen("first", 2), _seen("second", 2)]
        )
    # A gateway of before knows one log of an origin: the one that was there first.
    with evidence.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0027")
    upgrade(evidence, "evidence")
    assert kept() == [("first", 1), ("first", 2)]
    with evidence.begin() as connection:
        assert connection.execute(select(WITNESSED_LOGS.c.log_key)).scalars().all() == ["first"]
        # Two logs of one origin have their own states of a size.
        connection.execute(insert(WITNESSED), _seen("second", 2))
        connection.execute(delete(WITNESSED).where(WITNESSED.c.log_key == "first"))
    assert kept() == [("second", 2)]
