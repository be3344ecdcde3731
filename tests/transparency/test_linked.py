"""Keys are believed that are linked to a known one by notes of their own, and no others."""

import itertools
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.linked import LinkedKeys, UnknownKey, key_of, open_linked
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint, checkpoint_body, signed
from creditgate.transparency.succession import announcement_note, succession_note
from gateway.storage.engines import Engines
from gateway.transparency.identity import key_of_log
from gateway.transparency.keys import LogKey
from gateway.transparency.links import LogLinks
from gateway.transparency.succeeding import (
    ANNOUNCED_SECONDS,
    NotAnnounced,
    announce,
    require_announced,
    succeed,
)
from gateway.transparency.tables import LINKS, LogId
from tests.clock import NOW, StandingClock
from tests.transparency.keys import key_of as invented

ORIGIN = "gateway.invalid/log/usage"
KEYS = [invented(ORIGIN if not number else f"{ORIGIN}/{number + 1}") for number in range(5)]
NOTES = [succession_note(7, bytes(32), after, before) for before, after in itertools.pairwise(KEYS)]
CHAIN = tuple(key.verifier for key in KEYS)


def head(key: LogKey) -> str:
    """Return a signed head of the log of a key."""
    return signed(checkpoint_body(Checkpoint(key.verifier.name, 3, bytes(32))), key)


def contrary(*, former: LogKey = KEYS[0], following: LogKey | None = None) -> str:
    """Return a succession between keys of the names of the first two."""
    return succession_note(7, bytes(32), following or LogKey(f"{ORIGIN}/2", _other()), former)


@given(st.permutations(NOTES), st.integers(0, 4))
def test_whoever_knows_any_of_them_learns_all_before_and_behind_it(
    notes: list[str], known: int
) -> None:
    found = LinkedKeys.of(CHAIN[known], notes)
    assert found == LinkedKeys(CHAIN)
    for key in KEYS:
        assert open_linked(head(key), found).size == 3
        assert key_of(found, key.verifier.key_id, "it") == key.verifier


@given(st.integers(0, 3), st.integers(0, 4))
def test_a_note_that_lacks_ends_what_is_known(lacking: int, known: int) -> None:
    notes = NOTES[:lacking] + NOTES[lacking + 1 :]
    whole = CHAIN[: lacking + 1] if known <= lacking else CHAIN[lacking + 1 :]
    found = LinkedKeys.of(CHAIN[known], notes)
    assert found.chain == whole
    for key in KEYS:
        if key.verifier not in whole:
            with pytest.raises(UnknownKey):
                open_linked(head(key), found)


def test_a_stolen_name_links_nothing() -> None:
    thief = LogKey(ORIGIN, _other())
    # Without the former key nobody says which one follows,
    assert LinkedKeys.of(CHAIN[0], [contrary(former=thief)]).chain == CHAIN[:1]
    # and without the next nobody says that one was before it.
    claimed = contrary(former=thief, following=KEYS[1])
    signatures = claimed.rpartition("\n\n")[2].splitlines(keepends=True)
    for note in (
        claimed.replace(signatures[1], ""),
        claimed.replace(signatures[1], NOTES[0].splitlines(keepends=True)[-1]),
        NOTES[0].replace(str(CHAIN[0]), str(thief.verifier)),
    ):
        found = LinkedKeys.of(CHAIN[1], [note])
        assert found.chain == CHAIN[1:2]
        with pytest.raises(ProofInvalid):
            open_linked(head(thief), found)


def test_a_key_that_names_two_others_is_followed_to_neither() -> None:
    assert LinkedKeys.of(CHAIN[0], [*NOTES, contrary()]).chain == CHAIN[:1]
    second = contrary(former=LogKey(ORIGIN, _other()), following=KEYS[1])
    assert LinkedKeys.of(CHAIN[1], [*NOTES, second]).chain == CHAIN[1:]
    # Who followed one before stays with it.
    known = LinkedKeys.of(CHAIN[0], NOTES[:1])
    assert known.extended([contrary(), *NOTES]).chain == CHAIN


def test_what_is_announced_is_believed_until_another_follows() -> None:
    announced = announcement_note(CHAIN[1], KEYS[0])
    known = LinkedKeys.of(CHAIN[0], [announced])
    assert known.every == CHAIN[:2] and known.chain == CHAIN[:1]
    assert open_linked(head(KEYS[1]), known).size == 3
    other = LogKey(f"{ORIGIN}/2", _other())
    after = known.extended([contrary(following=other)])
    assert after.every == (CHAIN[0], other.verifier)
    with pytest.raises(ProofInvalid):
        open_linked(head(KEYS[1]), after)
    forged = announcement_note(other.verifier, LogKey(ORIGIN, _other()))
    assert LinkedKeys.of(CHAIN[0], [forged]).announced is None


class Kept:
    """A log of usage in a store, and its key's file."""

    def __init__(self, engines: Engines, folder: Path) -> None:
        self.evidence = engines.evidence
        self.file = folder / "log-usage.pem"
        self.start()

    def start(self) -> None:
        """Begin the log where there is none."""
        self.key = key_of_log(self.evidence, LogId.USAGE, self.file, ORIGIN)

    def rotate(self, *, stolen: bool = False) -> LogKey:
        """Go over to another key, and return the former."""
        former = self.key
        succeed(self.evidence, LogId.USAGE, self.file, (), stolen=stolen, clock=StandingClock(NOW))
        self.start()
        return former

    def links(self) -> LogLinks:
        """Return what a process that starts knows of the log's keys."""
        return LogLinks(self.evidence, LogId.USAGE, self.key.verifier)

    def announce(self, *, anew: bool = False, at: int = NOW) -> str:
        """Announce the next key."""
        return announce(self.evidence, LogId.USAGE, self.file, at, anew=anew)


@pytest.fixture
def kept(engines: Engines, tmp_path: Path) -> Kept:
    """A log that has begun, on each kind of store."""
    return Kept(engines, tmp_path)


def test_a_store_knows_the_keys_before_a_planned_change(kept: Kept) -> None:
    first = kept.rotate()
    second = kept.rotate()
    keys = (first.verifier, second.verifier, kept.key.verifier)
    assert kept.links().keys.chain == keys
    assert LinkedKeys.of(keys[0], kept.links().notes()).chain == keys
    assert [each.number for each in kept.links().former] == [1, 2]


def test_nothing_is_linked_to_a_key_that_was_stolen_nor_over_it(kept: Kept) -> None:
    kept.rotate()
    kept.announce()
    stolen = kept.rotate(stolen=True)
    assert kept.links().keys == LinkedKeys((kept.key.verifier,))
    assert kept.links().notes() == []
    assert not kept.file.with_suffix(".2.succession").exists()
    assert kept.file.with_suffix(".2.pem").exists()
    # What was announced may be in the same hands.
    assert kept.key.verifier.name == f"{ORIGIN}/3"
    after = kept.rotate()
    assert kept.links().keys.chain == (after.verifier, kept.key.verifier)
    assert stolen.verifier not in kept.links().keys.chain


def test_a_row_that_somebody_wrote_links_nothing(kept: Kept) -> None:
    thief = LogKey(ORIGIN, _other())
    note = succession_note(0, bytes(32), LogKey(ORIGIN, _other()), thief)
    forged = note.replace(note.splitlines()[4], str(kept.key.verifier))
    with kept.evidence.begin() as connection:
        row = {"log": LogId.USAGE, "number": 1, "note": forged, "at": NOW}
        connection.execute(LINKS.insert().values(row))
    assert kept.links().keys.chain == (kept.key.verifier,)


def test_the_key_that_was_announced_is_the_one_that_follows(kept: Kept) -> None:
    with pytest.raises(NotAnnounced):
        require_announced(kept.evidence, LogId.USAGE, kept.file, NOW)
    note = kept.announce()
    assert kept.announce(at=NOW + 60) == note != kept.announce(anew=True)
    told = LinkedKeys.of(kept.key.verifier, kept.links().notes()).announced
    for waited in (0, ANNOUNCED_SECONDS - 1):
        with pytest.raises(NotAnnounced):
            require_announced(kept.evidence, LogId.USAGE, kept.file, NOW + waited)
    require_announced(kept.evidence, LogId.USAGE, kept.file, NOW + ANNOUNCED_SECONDS)
    kept.rotate()
    assert kept.key.verifier == told
    assert kept.links().keys.announced is None and len(kept.links().notes()) == 1


def test_an_announced_key_that_is_gone_is_not_taken_for_announced(kept: Kept) -> None:
    kept.announce()
    kept.file.with_suffix(".next").unlink()
    with pytest.raises(NotAnnounced):
        require_announced(kept.evidence, LogId.USAGE, kept.file, NOW + 10 * ANNOUNCED_SECONDS)
    former = kept.rotate()
    assert kept.links().keys.chain == (former.verifier, kept.key.verifier)


def _other() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()
