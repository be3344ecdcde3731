"""The Merkle log on both stores: against a published log, and under everything that may end it."""

from base64 import b64decode
from itertools import pairwise

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError

from creditgate.transparency.merkle import (
    ProofInvalid,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from creditgate.transparency.note import open_checkpoint
from creditgate.transparency.tiles import parse_tile_path
from gateway.storage.engines import Engines
from gateway.transparency.identity import AnotherLog
from gateway.transparency.log import MerkleLog, SignedCheckpoint
from gateway.transparency.tables import CHECKPOINTS, LogId
from tests.transparency.keys import key_of, published
from tests.transparency.vectors import vectors


@pytest.fixture
def engine(engines: Engines) -> Engine:
    """The engine of evidence of an empty store."""
    return engines.evidence


def grown(engine: Engine, log: MerkleLog, *leaves: bytes, at: int = 1) -> SignedCheckpoint:
    """Add entries and sign, in one transaction."""
    with engine.begin() as connection:
        log.append(connection, leaves)
        return log.sign(connection, at)


def test_a_published_log_is_rebuilt_byte_for_byte(engine: Engine) -> None:
    known = vectors("tessera_log")
    log = MerkleLog(engine, LogId.DISCLOSURE, published(known["private_key"]))
    notes = [grown(engine, log).note]
    notes += [grown(engine, log, entry.encode()).note for entry in known["entries"]]
    assert notes == known["checkpoints"]
    for path, content in known["tiles"].items():
        tile = parse_tile_path(path)
        ours = (
            log.bundle(tile.number, tile.width)
            if tile.level is None
            else log.tile(tile.level, tile.number, tile.width)
        )
        assert ours == b64decode(content), path


def test_every_checkpoint_extends_those_before_however_entries_came(engine: Engine) -> None:
    log = MerkleLog(engine, LogId.DISCLOSURE, key_of())
    leaves: list[bytes] = []
    signed: list[SignedCheckpoint] = []
    for count in (1, 3, 250, 2, 1, 700, 256, 1, 65_536, 5):
        news = [f"{len(leaves) + number}".encode() for number in range(count)]
        leaves += news
        signed.append(grown(engine, log, *news))
        assert signed[-1].root == root_of([leaf_hash(leaf) for leaf in leaves])
        assert open_checkpoint(signed[-1].note, log.key).root == signed[-1].root
    last = signed[-1]
    for former, latter in pairwise(signed):
        for later in (latter, last):
            proof = log.consistency(former.size, later.size)
            verify_consistency(former.size, later.size, former.root, later.root, proof)
    for index in (0, 1, 255, 256, 1_000, 65_000, last.size - 1):
        assert log.entry(index) == leaves[index]
        for checkpoint in signed:
            if index < checkpoint.size:
                path = log.inclusion(index, checkpoint.size)
                leaf = leaf_hash(leaves[index])
                verify_inclusion(index, checkpoint.size, leaf, path, checkpoint.root)


def test_what_the_log_does_not_have_is_not_found(engine: Engine) -> None:
    log = MerkleLog(engine, LogId.DISCLOSURE, key_of())
    assert log.latest() is None
    grown(engine, log, b"one", b"two")
    for wanting in (
        lambda: log.entry(2),
        lambda: log.inclusion(0, 3),
        lambda: log.inclusion(2, 2),
        lambda: log.consistency(1, 3),
        lambda: log.consistency(2, 1),
        lambda: log.tile(0, 0, 3),
        lambda: log.tile(1, 0),
        lambda: log.bundle(0, 3),
        lambda: log.bundle(1, 1),
    ):
        with pytest.raises(LookupError):
            wanting()
    assert log.checkpoint_of(1) is None


def test_a_size_is_signed_once(engine: Engine) -> None:
    log = MerkleLog(engine, LogId.DISCLOSURE, key_of())
    first = grown(engine, log, b"one", at=1)
    assert grown(engine, log, at=2) == first == log.latest() == log.checkpoint_of(1)


def test_what_is_not_committed_never_was(engine: Engine) -> None:
    log = MerkleLog(engine, LogId.DISCLOSURE, key_of())
    grown(engine, log, b"one")
    with pytest.raises(RuntimeError, match="power"), engine.begin() as connection:
        log.append(connection, [b"two"] * 300)
        log.sign(connection, 1)
        raise RuntimeError("power")
    after = grown(engine, log, b"three")
    assert after.root == root_of([leaf_hash(b"one"), leaf_hash(b"three")])
    verify_inclusion(1, 2, leaf_hash(b"three"), log.inclusion(1, 2), after.root)


def test_each_transaction_adds_behind_what_others_added_since(engine: Engine) -> None:
    ours, theirs = (MerkleLog(engine, LogId.DISCLOSURE, key_of()) for _ in range(2))
    grown(engine, ours, b"one")
    grown(engine, theirs, b"two")
    assert grown(engine, ours, b"three").size == 3
    assert ours.entries(range(3)) == [b"one", b"two", b"three"]


def test_what_was_added_and_undone_is_not_counted(engine: Engine) -> None:
    log = MerkleLog(engine, LogId.DISCLOSURE, key_of())
    with engine.connect() as connection:
        undone = connection.begin()
        log.append(connection, [b"undone"])
        undone.rollback()
        with connection.begin():
            assert log.append(connection, [b"one"]) == 0
    assert log.entries([0]) == [b"one"]


def test_logs_of_one_store_do_not_mix(engine: Engine) -> None:
    disclosure = MerkleLog(engine, LogId.DISCLOSURE, key_of())
    decisions = MerkleLog(engine, LogId.DECISIONS, key_of("gateway.invalid/log/decisions"))
    grown(engine, disclosure, b"one")
    grown(engine, decisions, b"two", b"three")
    assert disclosure.entry(0) == b"one"
    assert decisions.entry(0) == b"two"
    assert [log.latest() and log.latest().size for log in (disclosure, decisions)] == [1, 2]  # type: ignore[union-attr]


def test_a_log_is_continued_with_its_own_key_only(engine: Engine) -> None:
    log = MerkleLog(engine, LogId.DISCLOSURE, key_of())
    grown(engine, log, b"one")
    other = MerkleLog(engine, LogId.DISCLOSURE, key_of("other.invalid/log/disclosure"))
    with pytest.raises(AnotherLog):
        grown(engine, other, b"two")
    assert log.latest() == log.checkpoint_of(1)


def test_two_histories_shown_to_two_parties_are_told_apart(engine: Engine) -> None:
    """A log that shows each party a tree of its own cannot make them agree (split view)."""
    key = key_of()
    honest = MerkleLog(engine, LogId.DISCLOSURE, key)
    # The same key, over another history: what a dishonest gateway would keep aside.
    shadow = MerkleLog(engine, LogId.DECISIONS, key)
    common = [b"one", b"two", b"three"]
    seen = grown(engine, honest, *common)
    assert grown(engine, shadow, *common) == seen
    mine = grown(engine, honest, b"repaired", b"five")
    theirs = grown(engine, shadow, b"not repaired", b"five")
    later = grown(engine, honest, b"six")
    # Both checkpoints verify, both extend what was common ...
    assert mine.size == theirs.size
    assert open_checkpoint(mine.note, key.verifier) != open_checkpoint(theirs.note, key.verifier)
    verify_consistency(3, 5, seen.root, mine.root, honest.consistency(3, 5))
    verify_consistency(3, 5, seen.root, theirs.root, shadow.consistency(3, 5))
    # ... and once the parties compare, no proof joins them.
    for log in (honest, shadow):
        with pytest.raises(ProofInvalid):
            verify_consistency(5, 5, mine.root, theirs.root, log.consistency(5, 5))
    with pytest.raises(ProofInvalid):
        verify_consistency(5, 6, theirs.root, later.root, honest.consistency(5, 6))


def test_a_second_root_of_a_signed_size_cannot_be_kept(engine: Engine) -> None:
    log = MerkleLog(engine, LogId.DISCLOSURE, key_of())
    signed = grown(engine, log, b"one")
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(
            insert(CHECKPOINTS).values(
                log=LogId.DISCLOSURE, size=signed.size, root=bytes(32), at=1, note="other"
            )
        )
