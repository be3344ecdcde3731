"""What a witness cosigned it remembers, whatever ends it, and signs nothing that contradicts it."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, insert, select, update

from creditgate.transparency.cosignatures import cosignatures_in
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import open_checkpoint
from creditgate.transparency.succession import announcement_note, succession_note
from gateway.federation.witness.beginning import NothingForgotten, begin_witness_anew
from gateway.federation.witness.keys import WitnessForgot
from gateway.federation.witness.logs import log_of, log_signing
from gateway.federation.witness.rules import FRESH_SECONDS, Judgement, ShownInvalid
from gateway.federation.witness.tables import WITNESSED, WITNESSED_LOGS
from gateway.federation.witness.witness import MOST_KEPT, Shown
from gateway.storage.engines import Engines
from gateway.transparency.keys import LogKey
from tests.stores import PostgresStores, SqliteStores, engines_of
from tests.transparency.keys import key_of
from tests.witness.histories import History, forked
from tests.witness.world import World, log_at

TEXTS = [f"entry {number}" for number in range(40)]
ONE, OTHER = forked(TEXTS, 10)
REGION = "https://abroad.invalid"


@pytest.fixture
def world(engines: Engines, tmp_path: Path) -> Iterator[World]:
    """A witness that has seen nothing yet."""
    yield World(engines, tmp_path / "keys", ONE)


def show(world: World, shown: Shown, history: History = ONE) -> tuple[Judgement, int]:
    """Show a checkpoint; return what came of it."""
    answered = world.witness.show(log_at(REGION, history.key.verifier), shown, world.clock.now())
    return answered.judgement, answered.size


def test_a_cosignature_is_of_what_was_shown_and_of_now(world: World) -> None:
    answered = world.witness.show(
        log_at(REGION, ONE.key.verifier), ONE.shown(0, 7), world.clock.now()
    )
    key = world.witness.key.verifier
    note = ONE.note(7) + answered.cosignature
    assert cosignatures_in(note, [key]) == {key: world.clock.now()}
    assert key.name == "own.invalid/witness"
    kept = world.witness.last_of(ONE.key.verifier)
    assert kept is not None
    assert kept.cosigned == note


def test_a_witness_goes_on_from_what_it_cosigned_last(world: World) -> None:
    assert show(world, ONE.shown(0, 7)) == (Judgement.COSIGN, 7)
    assert show(world, ONE.shown(0, 12)) == (Judgement.STALE, 7)
    assert show(world, ONE.shown(7, 12)) == (Judgement.COSIGN, 12)
    assert show(world, ONE.shown(7, 9)) == (Judgement.STALE, 12)


def test_what_contradicts_is_not_cosigned_and_convicts_the_log(world: World) -> None:
    show(world, ONE.shown(0, 13))
    for shown in (OTHER.shown(13, 20), OTHER.shown(0, 13)):
        answered = world.witness.show(log_at(REGION, ONE.key.verifier), shown, 0)
        assert answered.judgement is Judgement.CONTRADICTS
        assert not answered.cosignature
        assert answered.split is not None
        answered.split.require(ONE.key.verifier)
    assert show(world, ONE.shown(13, 20)) == (Judgement.COSIGN, 20)


def test_what_the_log_has_not_signed_is_not_looked_at(world: World) -> None:
    foreign = History.of(TEXTS, key_of("another.invalid/log/disclosure"))
    with pytest.raises(ProofInvalid):
        show(world, foreign.shown(0, 7))
    with world.engines.evidence.connect() as connection:
        assert not connection.execute(select(WITNESSED_LOGS)).all()


def test_who_names_the_origin_of_another_log_keeps_that_from_nothing(world: World) -> None:
    # Another region was here first, with a key of its own under that origin.
    another = LogKey(ONE.key.verifier.name, Ed25519PrivateKey.generate())
    history = History.of(["of", "its", "own"], another)
    witness, thief = world.witness, "https://thief.invalid"
    assert witness.show(log_at(thief, another.verifier), history.shown(0, 3), 0).size == 3
    assert show(world, ONE.shown(0, 7)) == (Judgement.COSIGN, 7)
    # Nor does it by showing what the other has signed: that is the one history of its key.
    assert witness.show(log_at(thief, ONE.key.verifier), ONE.shown(7, 8), 0).size == 8
    assert show(world, ONE.shown(8, 13)) == (Judgement.COSIGN, 13)
    other = witness.show(log_at(thief, ONE.key.verifier), OTHER.shown(0, 13), 0)
    assert other.judgement is Judgement.CONTRADICTS
    assert open_checkpoint(witness.held(ONE.key.verifier, 13), ONE.key.verifier).size == 13
    assert witness.held(another.verifier, 13) == ""
    kept = {(each.log_key, each.size) for each in witness.witnessed()}
    assert kept == {(str(another.verifier), 3), (str(ONE.key.verifier), 13)}


def test_shown_again_a_checkpoint_gets_the_same_cosignature_for_a_while(world: World) -> None:
    first = world.witness.show(log_at(REGION, ONE.key.verifier), ONE.shown(0, 7), world.clock.now())
    again = world.witness.show(
        log_at(REGION, ONE.key.verifier), ONE.shown(7, 7), world.clock.now() + 1
    )
    assert again.cosignature == first.cosignature
    world.clock.at += FRESH_SECONDS
    later = world.witness.show(log_at(REGION, ONE.key.verifier), ONE.shown(7, 7), world.clock.now())
    key = world.witness.key.verifier
    assert cosignatures_in(ONE.note(7) + later.cosignature, [key]) == {key: world.clock.now()}


def test_of_two_processes_only_one_history_is_cosigned(world: World) -> None:
    second = world.started()
    show(world, ONE.shown(0, 13))
    answered = second.show(log_at(REGION, ONE.key.verifier), OTHER.shown(0, 13), 0)
    assert answered.judgement is Judgement.CONTRADICTS
    assert second.show(log_at(REGION, ONE.key.verifier), ONE.shown(13, 15), 0).size == 15
    assert show(world, ONE.shown(13, 14)) == (Judgement.STALE, 15)


def test_killed_between_cosigning_and_answering_it_cosigns_no_other_history(
    stores: SqliteStores | PostgresStores, tmp_path: Path
) -> None:
    with stores.database() as store:
        with engines_of(*store) as engines:
            world = World(engines, tmp_path, ONE)
            show(world, ONE.shown(0, 5))
        child = os.fork()
        if not child:
            # The cosignature is made and kept; whoever asked never hears of it.
            with engines_of(*store) as own:
                forked_off = World(own, tmp_path, ONE)
                answered = forked_off.witness.show(
                    log_at(REGION, ONE.key.verifier), ONE.shown(5, 13), 0
                )
                if answered.cosignature:
                    os.kill(os.getpid(), signal.SIGKILL)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        with engines_of(*store) as engines:
            world = World(engines, tmp_path, ONE)
            assert show(world, OTHER.shown(5, 13)) == (Judgement.CONTRADICTS, 13)
            assert show(world, ONE.shown(5, 13)) == (Judgement.STALE, 13)
            assert show(world, ONE.shown(13, 13)) == (Judgement.COSIGN, 13)


def test_killed_before_the_commit_nothing_was_cosigned(world: World) -> None:
    class Dying(type(world.witness.key)):
        def sign(self, text: bytes) -> bytes:
            raise KeyboardInterrupt

    dying = Dying.kept_in(world.folder / "witness.pem", "https://own.invalid")
    live, world.witness.key = world.witness.key, dying
    with pytest.raises(KeyboardInterrupt):
        show(world, ONE.shown(0, 13))
    world.witness.key = live
    assert show(world, OTHER.shown(0, 13)) == (Judgement.COSIGN, 13)


def test_a_witness_whose_store_was_put_back_cosigns_nothing(
    sqlite_stores: SqliteStores, tmp_path: Path
) -> None:
    with sqlite_stores.database() as (database, home):
        with engines_of(database, home) as engines:
            world = World(engines, tmp_path / "keys", ONE)
            show(world, ONE.shown(0, 5))
        shutil.copytree(home, tmp_path / "older")
        with engines_of(database, home) as engines:
            world = World(engines, tmp_path / "keys", ONE)
            show(world, ONE.shown(5, 13))
        with (
            engines_of(database, tmp_path / "older") as engines,
            pytest.raises(WitnessForgot, match="creditgate witness begin"),
        ):
            World(engines, tmp_path / "keys", ONE)


def test_a_damaged_note_beside_the_key_is_told(world: World) -> None:
    (world.folder / "witness.signed").write_text("{}")
    with pytest.raises(ValueError, match="restore it from a copy"):
        world.started()


def test_only_the_newest_checkpoints_of_a_log_are_kept(world: World) -> None:
    show(world, ONE.shown(0, 1))
    log = ONE.key.verifier
    older = [
        {"origin": log.name, "log_key": str(log), "size": -n, "root": b"", "note": ""}
        for n in range(1, MOST_KEPT)
    ]
    with world.engines.evidence.begin() as connection:
        connection.execute(insert(WITNESSED), older)
    for size in range(1, 33):
        show(world, ONE.shown(size, size + 1))
    with world.engines.evidence.begin() as connection:
        connection.execute(update(WITNESSED_LOGS).values(act=63))
    show(world, ONE.shown(33, 34))
    with world.engines.evidence.connect() as connection:
        sizes = connection.execute(select(WITNESSED.c.size)).scalars().all()
    assert len(sizes) == MOST_KEPT
    assert max(sizes) == 34
    assert open_checkpoint(world.witness.held(log, 34), log).size == 34


def test_a_log_that_was_forgotten_by_hand_is_found_out(world: World) -> None:
    show(world, ONE.shown(0, 5))
    with world.engines.evidence.begin() as connection:
        connection.execute(delete(WITNESSED_LOGS))
    with pytest.raises(WitnessForgot):
        show(world, ONE.shown(0, 13))


def test_a_witness_that_forgot_is_begun_anew_under_another_key(
    sqlite_stores: SqliteStores, tmp_path: Path
) -> None:
    file = tmp_path / "keys" / "witness.pem"
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        world = World(engines, tmp_path / "keys", ONE)
        show(world, ONE.shown(0, 13))
        with pytest.raises(NothingForgotten):
            begin_witness_anew(engines.evidence, file, "https://own.invalid")
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        away = begin_witness_anew(engines.evidence, file, "https://own.invalid")
        assert away.exists()
        again = World(engines, tmp_path / "keys", ONE)
        assert again.witness.key.verifier.public != world.witness.key.verifier.public
        assert show(again, ONE.shown(0, 5)) == (Judgement.COSIGN, 5)


SECOND, THIRD = (
    History.of(TEXTS[:7], key_of(f"abroad.invalid/log/disclosure/{number}")) for number in (2, 3)
)


def announced(following: History) -> str:
    """Return the note by which the first log says which is to follow."""
    return announcement_note(following.key.verifier, ONE.key)


def ended_at(size: int, following: History, history: History = ONE) -> str:
    """Return the note by which both sign that the first log ended and another follows."""
    return succession_note(size, history.checkpoint(size).root, following.key, history.key)


def test_an_announced_log_is_none_until_the_region_has_gone_over_to_it(world: World) -> None:
    note = announced(SECOND)
    region = log_at(REGION, ONE.key.verifier, note).region
    log = log_of(region)
    assert log is not None
    assert log.key == ONE.key.verifier
    world.stands(region)
    assert log_signing(world.book, SECOND.note(3)) is None


def test_a_log_that_was_gone_over_from_is_cosigned_no_more_whoever_shows_it(world: World) -> None:
    assert show(world, ONE.shown(0, 13)) == (Judgement.COSIGN, 13)
    after = log_at(REGION, SECOND.key.verifier, ended_at(15, SECOND))
    assert world.witness.show(after, SECOND.shown(0, 3), 0).judgement is Judgement.COSIGN
    for region in (REGION, "https://helper.invalid"):
        with pytest.raises(ShownInvalid, match="gone over"):
            world.witness.show(log_at(region, ONE.key.verifier), ONE.shown(13, 20), 0)
    assert world.witness.show(after, SECOND.shown(3, 7), 0).judgement is Judgement.COSIGN


def test_a_log_that_a_witness_never_saw_before_it_ended_is_none_either(world: World) -> None:
    after = log_at(REGION, SECOND.key.verifier, ended_at(15, SECOND))
    world.witness.show(after, SECOND.shown(0, 3), 0)
    with pytest.raises(ShownInvalid, match="gone over"):
        show(world, ONE.shown(0, 7))


def test_a_region_that_goes_over_without_a_link_does_not_come_back(world: World) -> None:
    show(world, ONE.shown(0, 13))
    world.witness.show(log_at(REGION, THIRD.key.verifier), THIRD.shown(0, 3), 0)
    with pytest.raises(ShownInvalid, match="gone over"):
        show(world, ONE.shown(13, 20))
    # What it leaves may be another region's, whose name it took.
    another = log_at("https://another.invalid", ONE.key.verifier)
    assert world.witness.show(another, ONE.shown(13, 20), 0).judgement is Judgement.COSIGN


@pytest.mark.parametrize(("size", "history"), [(12, ONE), (13, OTHER)])
def test_a_log_that_ended_otherwise_than_it_was_cosigned_is_followed_by_none(
    world: World, size: int, history: History
) -> None:
    show(world, ONE.shown(0, 13))
    after = log_at(REGION, SECOND.key.verifier, ended_at(size, SECOND, history))
    with pytest.raises(ShownInvalid, match="ended otherwise"):
        world.witness.show(after, SECOND.shown(0, 3), 0)
    assert world.witness.last_of(SECOND.key.verifier) is None
    assert show(world, ONE.shown(13, 20)) == (Judgement.COSIGN, 20)
