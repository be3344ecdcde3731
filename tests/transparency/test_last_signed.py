"""Of one log no two histories are signed, whatever becomes of the store of evidence."""

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine, delete

from creditgate.transparency.note import Checkpoint, VerifierKey
from gateway.storage.engines import open_engines, reading
from gateway.transparency.beginning import begin_anew
from gateway.transparency.identity import AnotherLog, NotLost, key_of_log, known_key
from gateway.transparency.keys import KeyOver, LogKey, new_key
from gateway.transparency.last_signed import NOTHING, LastSigned, NeverSign, Signed
from gateway.transparency.log import MerkleLog
from gateway.transparency.succeeding import succeed
from gateway.transparency.tables import CHECKPOINTS, LOGS, LogId
from tests.stores import place_migrated

ORIGIN = "gateway.invalid/log/disclosure"


class Kept:
    """A store of evidence and the key of its log, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "keys" / "log-disclosure.pem"
        place_migrated(folder)
        self.engines = open_engines("sqlite", folder)

    @property
    def evidence(self) -> Engine:
        """The store of evidence."""
        return self.engines.evidence

    def started(self) -> MerkleLog:
        """Return the log as a process that starts opens it."""
        return MerkleLog(
            self.evidence,
            LogId.DISCLOSURE,
            key_of_log(self.evidence, LogId.DISCLOSURE, self.key, ORIGIN),
        )

    def grown(self, log: MerkleLog, entry: bytes, *, committed: bool = True) -> Checkpoint:
        """Add an entry and sign; ``committed`` is False for who is killed right after."""
        with self.evidence.begin() as connection:
            log.append(connection, [entry])
            signed = log.sign(connection, 0)
        if committed:
            log.committed()
        return Checkpoint(log.key.name, signed.size, signed.root)

    def put_back(self, copy: Path | None) -> None:
        """Put an older copy in the place of the store; None: it is lost."""
        self.engines.dispose()
        for file in self.folder.glob("evidence.db*"):
            file.unlink()
        place_migrated(self.folder)
        if copy is not None:
            shutil.copy(copy, self.folder / "evidence.db")
        self.engines = open_engines("sqlite", self.folder)

    def copied(self) -> Path:
        """Return a copy of the store as it is."""
        copy = self.folder / "copy.db"
        with (
            closing(sqlite3.connect(self.folder / "evidence.db")) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        return copy


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """A new one."""
    made = Kept(tmp_path)
    yield made
    made.engines.dispose()


def test_processes_that_start_at_once_on_a_new_home_begin_one_log(kept: Kept) -> None:
    at_once = 8
    together = Barrier(at_once)

    def start(_: int) -> VerifierKey:
        together.wait()
        return kept.started().key

    with ThreadPoolExecutor(at_once) as threads:
        for _ in range(25):
            assert len(set(threads.map(start, range(at_once)))) == 1
            kept.key.unlink()
            LastSigned.beside(kept.key).unlink()
            with kept.evidence.begin() as connection:
                connection.execute(delete(LOGS))


def test_log_whose_store_was_lost_does_not_start(kept: Kept) -> None:
    kept.grown(kept.started(), b"a")
    kept.put_back(None)
    with pytest.raises(AnotherLog, match="creditgate log begin --log disclosure"):
        kept.started()


def test_key_without_its_log_and_without_what_it_signed_does_not_start(kept: Kept) -> None:
    kept.grown(kept.started(), b"a")
    LastSigned.beside(kept.key).unlink()
    kept.put_back(None)
    with pytest.raises(AnotherLog):
        kept.started()


def test_log_whose_store_is_one_checkpoint_older_does_not_start(kept: Kept) -> None:
    log = kept.started()
    kept.grown(log, b"a")
    copy = kept.copied()
    kept.grown(log, b"b")
    kept.put_back(copy)
    with pytest.raises(AnotherLog, match="older copy"):
        kept.started()


def test_running_log_signs_no_other_tree_of_a_size_it_signed(kept: Kept) -> None:
    log = kept.started()
    kept.grown(log, b"a")
    copy = kept.copied()
    kept.grown(log, b"b")
    kept.put_back(copy)
    again = MerkleLog(kept.evidence, LogId.DISCLOSURE, LogKey.kept_in(kept.key, ORIGIN))
    with pytest.raises(NeverSign):
        kept.grown(again, b"c")


def test_running_log_is_not_begun_anew_where_the_store_has_it_no_more(kept: Kept) -> None:
    log, unused = kept.started(), kept.started()
    kept.grown(log, b"a")
    kept.put_back(None)
    for each in (log, unused):
        again = MerkleLog(kept.evidence, LogId.DISCLOSURE, LogKey.kept_in(kept.key, ORIGIN))
        for running in (each, again):
            with pytest.raises(AnotherLog, match="start the gateway again"):
                kept.grown(running, b"b")
    with reading(kept.evidence) as connection:
        assert known_key(connection, LogId.DISCLOSURE) is None


def test_running_log_signs_nothing_over_what_its_next_key_signs(kept: Kept) -> None:
    log = kept.started()
    kept.grown(log, b"a")
    LastSigned.replaced(kept.key, f"{ORIGIN}/2")
    with pytest.raises(NeverSign):
        kept.grown(log, b"b")
    noted = LastSigned.read(kept.key)
    assert noted is not None and noted.unused


def test_what_a_former_key_notes_keeps_the_present_one_from_nothing(kept: Kept) -> None:
    former = key_of_log(kept.evidence, LogId.DISCLOSURE, kept.key, ORIGIN).after({f"{ORIGIN}/2"})
    succeed(kept.evidence, LogId.DISCLOSURE, kept.key, ())
    log = kept.started()
    first = kept.grown(log, b"a")
    head = Signed(first.size, first.root)
    # As a process of a former version did, beside this one.
    assert former.last is not None
    former.last.about_to_sign(head, Checkpoint(ORIGIN, 2, bytes(32)))
    noted = LastSigned.read(kept.key)
    assert noted is not None and noted.said == (ORIGIN, head, Signed(2, bytes(32)))
    assert kept.grown(log, b"b").size == 2
    again = LastSigned.read(kept.key)
    assert again is not None and again.origin == log.key.name
    former.last.about_to_sign(Signed(2, kept.started().root(2)), Checkpoint(ORIGIN, 3, bytes(32)))
    assert kept.grown(kept.started(), b"c").size == 3


def test_a_key_that_is_over_signs_under_no_name(kept: Kept) -> None:
    key = key_of_log(kept.evidence, LogId.DISCLOSURE, kept.key, ORIGIN)
    other = key.named("other.invalid/log")
    key.end()
    for each in (key, other):
        with pytest.raises(KeyOver):
            each.sign(b"")


def test_a_key_file_of_another_time_is_mended_as_the_message_says(kept: Kept) -> None:
    log = kept.started()
    kept.grown(log, b"a")
    away = kept.key.with_suffix(".1.pem")
    kept.key.rename(away)
    kept.key.write_bytes(new_key())
    with pytest.raises(AnotherLog, match=f"its own is in {away}. Copy that over {kept.key}"):
        kept.started()
    kept.key.write_bytes(away.read_bytes())
    assert kept.started().key == log.key


def test_a_log_whose_key_is_lost_is_begun_anew_as_the_message_says(kept: Kept) -> None:
    log = kept.started()
    kept.grown(log, b"a")
    kept.key.unlink()
    for _ in range(2):
        with pytest.raises(AnotherLog, match="creditgate log begin --log disclosure") as told:
            kept.started()
        assert f"{log.key}; restore" in str(told.value)
    begin_anew(kept.evidence, LogId.DISCLOSURE, kept.key, ())
    assert kept.started().key.name == f"{ORIGIN}/2"
    kept.grown(kept.started(), b"b")
    with pytest.raises(NotLost):
        begin_anew(kept.evidence, LogId.DISCLOSURE, kept.key, ())


def test_killed_before_the_commit_it_goes_on_with_another_tree(kept: Kept) -> None:
    log = kept.started()
    kept.grown(log, b"a")
    with pytest.raises(KeyboardInterrupt), kept.evidence.begin() as connection:
        log.append(connection, [b"b"])
        log.sign(connection, 0)
        raise KeyboardInterrupt
    again = kept.started()
    assert kept.grown(again, b"c").size == 2
    kept.started()


def test_killed_after_the_commit_it_goes_on_behind_it(kept: Kept) -> None:
    kept.grown(kept.started(), b"a", committed=False)
    assert kept.grown(kept.started(), b"b", committed=False).size == 2
    kept.started()


def test_two_processes_take_turns(kept: Kept) -> None:
    first, second = kept.started(), kept.started()
    for size, log in enumerate((first, second, second, first, second), 1):
        assert kept.grown(log, b"x", committed=size % 2 == 0).size == size
    kept.started()


def test_checkpoint_altered_in_the_store_is_not_built_upon(kept: Kept) -> None:
    kept.grown(kept.started(), b"a")
    with kept.evidence.begin() as connection:
        connection.execute(CHECKPOINTS.update().values(root=bytes(32)))
    with pytest.raises(AnotherLog):
        kept.started()
    with kept.evidence.begin() as connection:
        connection.execute(delete(CHECKPOINTS))
    with pytest.raises(AnotherLog):
        kept.started()


def test_log_is_begun_anew_under_another_key_and_origin_only_where_it_was_lost(
    kept: Kept,
) -> None:
    log = kept.started()
    kept.grown(log, b"a")
    with pytest.raises(NotLost):
        begin_anew(kept.evidence, LogId.DISCLOSURE, kept.key, ())
    former = log.key
    for generation in (2, 3):
        kept.put_back(None)
        away = begin_anew(kept.evidence, LogId.DISCLOSURE, kept.key, ())
        assert LogKey.kept_in(Path(away), former.name).verifier == former
        log = kept.started()
        assert log.key.name == f"{ORIGIN}/{generation}"
        assert log.key.public != former.public
        former = log.key
        assert kept.grown(log, b"b").size == 1


def test_damaged_note_of_what_was_signed_is_told(kept: Kept) -> None:
    kept.started()
    LastSigned.beside(kept.key).write_text("{}")
    with pytest.raises(ValueError, match="restore it from a copy"):
        kept.started()


def test_an_unwritten_file_has_signed_nothing(tmp_path: Path) -> None:
    last = LastSigned.begun(tmp_path / "log.pem", ORIGIN)
    assert last.unused
    last.about_to_sign(NOTHING, Checkpoint(ORIGIN, 1, bytes(32)))
    read = LastSigned.read(tmp_path / "log.pem")
    assert read is not None
    assert not read.unused
    with pytest.raises(NeverSign):
        read.about_to_sign(Signed(1, b"x" * 32), Checkpoint(ORIGIN, 2, bytes(32)))
