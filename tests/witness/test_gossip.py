"""A log that shows two histories is found out as soon as those who saw them compare."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import origin_of
from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.tables import ALERTS
from gateway.federation.trust.anew import as_before
from gateway.federation.witness.desk import WitnessDesk
from gateway.federation.witness.splits import Accused, SplitViews, evidence_of
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.storage.writes import WRITES
from gateway.transparency.keys import LogKey
from sdk.histories import SplitView
from tests.transparency.keys import key_of
from tests.witness.histories import History, forked
from tests.witness.world import OWN, World, log_at, region

TEXTS = [f"entry {number}" for number in range(30)]
ONE, OTHER = forked(TEXTS, 10)
PEER = "https://peer.invalid"
ACCUSED = Accused("https://abroad.invalid", "region-of-abroad")


@pytest.fixture
def world(engines: Engines, tmp_path: Path) -> Iterator[World]:
    """A witness that has cosigned one history."""
    made = World(engines, tmp_path / "keys", ONE)
    for old, size in ((0, 8), (8, 13), (13, 20)):
        made.witness.show(log_at(ACCUSED.entity_id, ONE.key.verifier), ONE.shown(old, size), 0)
    yield made


def split() -> SplitView:
    """Return the evidence of two states of one size."""
    return SplitView(ONE.note(13), OTHER.note(13), OTHER.checkpoint(13).root, ())


def test_another_root_of_a_size_cosigned_here_is_a_split_view(world: World) -> None:
    world.gossip().seen(PEER, [OTHER.note(13)], 5_000)
    (found,) = world.splits.listed(cleared=False, before=None, limit=9)
    evidence_of(found).require(ONE.key.verifier)
    assert (found.region, found.told_by) == (ACCUSED.entity_id, PEER)
    assert world.splits.distrusted() == {str(ONE.key.verifier)}
    assert world.found == 1


def test_what_others_saw_of_the_same_history_is_no_split_view(world: World) -> None:
    world.gossip().seen(PEER, [ONE.note(8), ONE.note(13), ONE.note(20), OTHER.note(8)], 0)
    assert not world.splits.distrusted()
    assert not world.joining.notes


def test_a_state_of_another_size_is_to_be_joined(world: World) -> None:
    world.gossip().seen(PEER, [OTHER.note(15)], 0)
    assert world.joining.notes == [OTHER.note(15)]
    assert not world.splits.distrusted()


def test_a_split_view_is_kept_once_whoever_tells_of_it(world: World) -> None:
    gossip = world.gossip()
    gossip.seen(PEER, [OTHER.note(13)], 0)
    gossip.accuse("https://third.invalid", [split()], 0)
    turned = SplitView(OTHER.note(13), ONE.note(13), ONE.checkpoint(13).root, ())
    gossip.accuse("https://third.invalid", [turned], 0)
    assert len(world.splits.listed(cleared=True, before=None, limit=9)) == 1
    assert world.found == 1


def test_evidence_that_proves_nothing_is_passed_over(world: World) -> None:
    foreign = History.of(TEXTS, key_of("foreign.invalid/log/disclosure"))
    for worthless in (
        SplitView(ONE.note(13), ONE.note(13), ONE.checkpoint(13).root, ()),
        SplitView(ONE.note(13), ONE.note(20), ONE.checkpoint(13).root, tuple(ONE.proof(13, 20))),
        SplitView(ONE.note(13), foreign.note(13), foreign.checkpoint(13).root, ()),
        SplitView("", "", b"", ()),
        SplitView("x\n" * 9, "\x00", b"", ()),
    ):
        world.gossip().accuse(PEER, [worthless], 0)
        with pytest.raises(ProofInvalid):
            world.splits.keep(ACCUSED, ONE.key.verifier, worthless, PEER, 0)
    assert not world.splits.distrusted()


def test_no_checkpoint_of_a_region_that_does_not_stand_is_looked_at(world: World) -> None:
    world.stands()
    gossip = world.gossip()
    gossip.seen(PEER, [OTHER.note(13)], 0)
    gossip.accuse(PEER, [split()], 0)
    assert not world.splits.distrusted()


def test_a_state_of_the_own_log_that_was_not_signed_here_raises_the_alarm(world: World) -> None:
    with world.engines.evidence.begin() as connection:
        world.own.append(connection, [b"a", b"b"])
        world.own.sign(connection, 0)
    stolen = History.of(["a", "z"], key_of("own.invalid/log/disclosure"))
    world.gossip().seen(PEER, [stolen.note(2)], 0)
    (found,) = world.splits.listed(cleared=False, before=None, limit=9)
    assert found.region == OWN


def test_a_split_view_raises_an_alert_and_is_logged_as_a_fact(world: World) -> None:
    world.splits.keep(ACCUSED, ONE.key.verifier, split(), "", 7_200)
    with world.engines.evidence.connect() as connection:
        (alert,) = connection.execute(select(ALERTS)).all()
        written = connection.execute(select(WRITES.c.written)).scalars().all()
    assert alert.kind == AlertKind.ALERT_KIND_SPLIT_VIEW
    assert (alert.operator_id, alert.raised_at, alert.counted) == ("region-of-abroad", 7_200, 1)
    assert sorted(written) == ["alerts", "split_views"]


def test_once_cleared_a_split_view_does_not_come_again(world: World) -> None:
    splits: SplitViews = world.splits
    splits.keep(ACCUSED, ONE.key.verifier, split(), "", 0)
    (found,) = splits.listed(cleared=False, before=None, limit=9)
    cleared = splits.clear(found.number, "administrator:wei", "a test of theirs", 9)
    assert cleared is not None
    assert (cleared.cleared_at, cleared.cleared_by) == (9, "administrator:wei")
    assert not splits.distrusted()
    assert not splits.keep(ACCUSED, ONE.key.verifier, split(), PEER, 10)
    again = splits.clear(found.number, "administrator:li", "again", 11)
    assert again is not None
    assert again.cleared_by == "administrator:wei"
    assert splits.clear(99, "administrator:li", "none", 11) is None


def test_another_split_view_of_a_cleared_log_is_distrusted_again(world: World) -> None:
    world.splits.keep(ACCUSED, ONE.key.verifier, split(), "", 0)
    (found,) = world.splits.listed(cleared=False, before=None, limit=9)
    world.splits.clear(found.number, "administrator:wei", "looked into", 9)
    third = forked(TEXTS, 11)[1]
    world.gossip().seen(PEER, [third.note(13)], 10)
    assert world.splits.distrusted() == {str(ONE.key.verifier)}


def framing() -> History:
    """Return a log that names the origin of the one abroad, by a key of its own."""
    return History.of(TEXTS, LogKey(ONE.key.verifier.name, Ed25519PrivateKey.generate()))


def split_of(history: History) -> SplitView:
    """Return the evidence that a key has signed two histories."""
    other = History.of([*TEXTS[:10], "another"], history.key)
    return SplitView(history.note(11), other.note(11), other.checkpoint(11).root, ())


@pytest.mark.parametrize("name", ["aaa", "zzz"], ids=["sorted before", "sorted after"])
def test_who_names_the_origin_of_another_log_convicts_its_own_alone(
    world: World, name: str
) -> None:
    own = framing()
    framer = region(name, str(own.key.verifier))
    world.stands(*sorted([framer, world.abroad], key=lambda each: each.entity_id))
    world.gossip().accuse(framer.entity_id, [split_of(own)], 0)
    (found,) = world.splits.listed(cleared=False, before=None, limit=9)
    assert (found.region, found.log_key) == (framer.entity_id, str(own.key.verifier))
    assert world.splits.distrusted() == {str(own.key.verifier)}
    # What the other log does is found out as ever.
    world.gossip().seen(PEER, [OTHER.note(13)], 0)
    assert str(ONE.key.verifier) in world.splits.distrusted()


def test_who_names_the_origin_of_this_regions_log_convicts_its_own_alone(world: World) -> None:
    with world.engines.evidence.begin() as connection:
        world.own.append(connection, [b"a", b"b"])
        world.own.sign(connection, 0)
    own = History.of(TEXTS, LogKey(world.own.key.name, Ed25519PrivateKey.generate()))
    framer = region("framer", str(own.key.verifier))
    world.stands(framer, world.abroad)
    world.gossip().accuse(framer.entity_id, [split_of(own)], 0)
    (found,) = world.splits.listed(cleared=False, before=None, limit=9)
    assert found.region == framer.entity_id


def test_of_a_regions_many_split_views_two_are_told_and_none_of_another_is_left_out(
    world: World,
) -> None:
    world.splits.keep(ACCUSED, ONE.key.verifier, split(), "", 0)
    framer = Accused("https://framer.invalid", "framer")
    for number in range(20):
        own = History.of(TEXTS, key_of(f"framer.invalid/{number}"))
        world.splits.keep(framer, own.key.verifier, split_of(own), "", 0)
    told = [row.log_key for row in world.splits.open_ones(16)]
    assert len(told) == 3
    assert told[-1] == str(ONE.key.verifier)


def test_a_region_that_had_many_logs_leaves_none_of_another_untold(world: World) -> None:
    logs = [History.of(TEXTS, key_of(f"aaa.invalid/{number}")) for number in range(5)]
    for each in logs:
        world.witness.show(log_at("https://aaa.invalid", each.key.verifier), each.shown(0, 3), 0)
    world.stands(region("aaa", str(logs[-1].key.verifier)), world.abroad)
    shares = Shares("test")
    desk = WitnessDesk(
        world.witness,
        world.splits,
        world.gossip(),
        world.book,
        world.own,
        shares,
        world.clock,
        as_before,
    )
    told = [origin_of(note) for note in desk.told(PEER).seen]
    assert told == [logs[-1].key.verifier.name, ONE.key.verifier.name]
    assert [origin_of(note) for note in desk.told(ACCUSED.entity_id).seen] == told[:1]
    shares.close()
