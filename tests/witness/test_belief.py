"""What a region's answer is proved by is believed with a quorum of witnesses behind it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from creditgate.refusal import Refused
from creditgate.transparency.cosignatures import CosignerKey, cosignature_line
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import taken_apart
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.trust.book import Region
from gateway.federation.trust.standing import not_trusted
from gateway.federation.witness.belief import MOST_BEHIND_SECONDS, Belief
from gateway.federation.witness.quorum import HomeQuorum
from gateway.federation.witness.splits import Accused
from gateway.storage.engines import Engines
from gateway.transparency.cosigned import add_cosignatures
from sdk.histories import SplitView
from tests.transparency.test_cosignatures import Cosigner
from tests.witness.histories import History, forked
from tests.witness.world import World, log_at, region

TEXTS = [f"entry {number}" for number in range(30)]
ONE, OTHER = forked(TEXTS, 10)
WITNESSES = [Cosigner(f"peer{number}.invalid/witness") for number in range(4)]


def peers() -> list[Region]:
    """Return the regions of the witnesses."""
    return [region(f"peer{n}", witness=str(each.verifier)) for n, each in enumerate(WITNESSES)]


def cosigned(history: History, size: int, by: Sequence[Cosigner], at: int) -> str:
    """Return a checkpoint with cosignatures."""
    note = history.note(size)
    text, _ = taken_apart(note)
    return note + "".join(cosignature_line(text, each, at) for each in by)


@pytest.fixture
async def world(engines: Engines, tmp_path: Path) -> AsyncIterator[World]:
    """A region that knows five others: abroad, which it asks, and four witnesses."""
    made = World(engines, tmp_path / "keys", ONE)
    made.stands(made.abroad, *peers())
    yield made
    for belief in made.believing:
        await belief.stop()


async def believing(world: World, wanted: int | None = None) -> Belief:
    """Return what believes, and follows until the world ends."""
    belief = Belief(
        world.splits, world.gossip(), world.book, world.witness.key.verifier, wanted, world.clock
    )
    await belief.start()
    world.believing.append(belief)
    return belief


async def test_more_than_half_of_the_witnesses_are_believed_and_half_is_not(world: World) -> None:
    # Five of them: four peers, and this region itself.
    belief, at = await believing(world), world.clock.now()
    note = cosigned(ONE, 20, WITNESSES[:3], at)
    await belief.require_believed(world.abroad, ONE.checkpoint(20), note, [])
    with pytest.raises(Refused) as refused:
        few = cosigned(ONE, 20, WITNESSES[:2], at)
        await belief.require_believed(world.abroad, ONE.checkpoint(20), few, [])
    assert refused.value.metadata == {"why": "quorum"}


async def test_ones_own_cosignature_counts_and_that_of_the_logs_region_does_not(
    world: World,
) -> None:
    own = Cosigner("abroad.invalid/witness")
    abroad = region("abroad", str(ONE.key.verifier), str(own.verifier))
    world.stands(abroad, *peers())
    belief, at = await believing(world), world.clock.now()
    with pytest.raises(Refused):
        note = cosigned(ONE, 20, [own, *WITNESSES[:2]], at)
        await belief.require_believed(abroad, ONE.checkpoint(20), note, [])
    answered = world.witness.show(log_at(abroad.entity_id, ONE.key.verifier), ONE.shown(0, 20), at)
    note = cosigned(ONE, 20, WITNESSES[:2], at) + answered.cosignature
    await belief.require_believed(abroad, ONE.checkpoint(20), note, [])


@pytest.mark.parametrize("name", ["aaa", "peer0"], ids=["by another name", "by its name"])
async def test_a_copy_of_anothers_witness_key_lowers_no_quorum_and_takes_no_vote(
    world: World, name: str
) -> None:
    copied = WITNESSES[0].verifier
    key = copied if name == "peer0" else CosignerKey("aaa.invalid/witness", copied.public)
    # The log's own region, and another one that stands, say that the key is theirs.
    abroad = region("abroad", str(ONE.key.verifier), str(key))
    world.stands(region("aaa", witness=str(key)), abroad, *peers())
    belief, at = await believing(world), world.clock.now()
    with pytest.raises(Refused) as refused:
        few = cosigned(ONE, 20, WITNESSES[:2], at)
        await belief.require_believed(abroad, ONE.checkpoint(20), few, [])
    assert refused.value.metadata == {"why": "quorum"}
    await belief.require_believed(
        abroad, ONE.checkpoint(20), cosigned(ONE, 20, WITNESSES[:3], at), []
    )


async def test_ones_own_witness_counts_for_a_log_whose_region_copies_its_key(
    world: World,
) -> None:
    own = world.witness.key.verifier
    abroad = region("abroad", str(ONE.key.verifier), str(own))
    world.stands(abroad, *peers())
    belief, at = await believing(world), world.clock.now()
    answered = world.witness.show(log_at(abroad.entity_id, ONE.key.verifier), ONE.shown(0, 20), at)
    note = cosigned(ONE, 20, WITNESSES[:2], at) + answered.cosignature
    await belief.require_believed(abroad, ONE.checkpoint(20), note, [])


async def test_a_witness_that_states_different_keys_here_and_there_spoils_no_cosignature(
    world: World,
) -> None:
    former, now = colliding()
    world.stands(world.abroad, region("aaa", witness=str(now.verifier)), *peers()[:3])
    belief, at = await believing(world), world.clock.now()
    # Where the answer comes from it had another key, of the same name and key id.
    note = cosigned(ONE, 20, [former, *WITNESSES[:3]], at)
    await belief.require_believed(world.abroad, ONE.checkpoint(20), note, [])
    with pytest.raises(Refused):
        few = cosigned(ONE, 20, [former, *WITNESSES[:2]], at)
        await belief.require_believed(world.abroad, ONE.checkpoint(20), few, [])


def colliding() -> tuple[Cosigner, Cosigner]:
    """Return two keys of one name that have the same key id: 4 bytes, found after 91,000 tries."""
    former, now = (
        Cosigner(
            "aaa.invalid/witness",
            Ed25519PrivateKey.from_private_bytes(sha256(b"witness %d" % number).digest()),
        )
        for number in (34_340, 91_145)
    )
    assert former.verifier.key_id == now.verifier.key_id
    return former, now


async def test_the_quorum_that_is_set_holds_and_one_beyond_all_witnesses_believes_nothing(
    world: World,
) -> None:
    note = cosigned(ONE, 20, WITNESSES[:1], world.clock.now())
    belief = await believing(world, 1)
    await belief.require_believed(world.abroad, ONE.checkpoint(20), note, [])
    belief = await believing(world, 6)
    with pytest.raises(Refused):
        await belief.require_believed(world.abroad, ONE.checkpoint(20), note, [])


async def test_a_region_that_no_longer_stands_is_no_witness(world: World) -> None:
    belief, at = await believing(world), world.clock.now()
    note = cosigned(ONE, 20, WITNESSES[:3], at)
    await belief.require_believed(world.abroad, ONE.checkpoint(20), note, [])
    world.book.standing = [world.abroad, *peers()[1:]]
    with pytest.raises(Refused):
        await belief.require_believed(world.abroad, ONE.checkpoint(20), note, [])


async def test_a_state_led_to_from_a_cosigned_one_is_believed_for_a_while(world: World) -> None:
    belief, at = await believing(world), world.clock.now()
    note = cosigned(ONE, 13, WITNESSES[:3], at)
    proof = ONE.proof(13, 20)
    await belief.require_believed(world.abroad, ONE.checkpoint(20), note, proof, ONE.note(20))
    world.clock.at += MOST_BEHIND_SECONDS + 1
    with pytest.raises(Refused):
        await belief.require_believed(world.abroad, ONE.checkpoint(20), note, proof)


async def test_a_state_that_the_cosigned_one_does_not_lead_to_is_not_believed(
    world: World,
) -> None:
    belief, at = await believing(world), world.clock.now()
    note = cosigned(ONE, 13, WITNESSES[:3], at)
    for proved, proof in (
        (OTHER.checkpoint(20), OTHER.proof(13, 20)),
        (ONE.checkpoint(20), []),
        (OTHER.checkpoint(13), []),
    ):
        with pytest.raises(ProofInvalid):
            await belief.require_believed(world.abroad, proved, note, proof)


async def test_what_the_log_has_not_signed_is_not_believed(world: World) -> None:
    belief = await believing(world)
    for note in ("", "nonsense", ONE.note(20).replace("\n20\n", "\n21\n")):
        with pytest.raises(ProofInvalid):
            await belief.require_believed(world.abroad, ONE.checkpoint(20), note, [])


async def test_nothing_of_a_log_with_two_histories_is_believed_until_it_is_cleared(
    world: World,
) -> None:
    belief, at = await believing(world), world.clock.now()
    note = cosigned(ONE, 20, WITNESSES[:3], at)
    await belief.require_believed(world.abroad, ONE.checkpoint(20), note, [])
    split = SplitView(ONE.note(13), OTHER.note(13), OTHER.checkpoint(13).root, ())
    world.splits.keep(Accused.of(world.abroad), ONE.key.verifier, split, "", at)
    belief = await believing(world)
    with pytest.raises(Refused) as refused:
        await belief.require_believed(world.abroad, ONE.checkpoint(20), note, [])
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED
    assert refused.value.metadata == {"why": "split_view"}
    world.splits.clear(1, "administrator:wei", "looked into", at)
    belief = await believing(world)
    belief.require_trusted(world.abroad)


async def test_an_answer_that_contradicts_what_was_cosigned_here_is_caught_by_itself(
    world: World,
) -> None:
    at = world.clock.now()
    world.witness.show(log_at(world.abroad.entity_id, ONE.key.verifier), ONE.shown(0, 13), at)
    belief = await believing(world)
    note = cosigned(OTHER, 13, WITNESSES[:3], at)
    with pytest.raises(Refused) as refused:
        await belief.require_believed(world.abroad, OTHER.checkpoint(13), note, [])
    assert refused.value.metadata == {"why": "split_view"}
    assert world.splits.distrusted() == {str(ONE.key.verifier)}
    # Trusted again, the log's history is the one cosigned here.
    world.splits.clear(1, "administrator:wei", "looked into", at)
    belief = await believing(world)
    belief.require_trusted(world.abroad)
    with pytest.raises(Refused) as refused:
        await belief.require_believed(world.abroad, OTHER.checkpoint(13), note, [])
    assert refused.value.metadata == {"why": "split_view"}
    led_on = note, OTHER.proof(13, 25), OTHER.note(25)
    with pytest.raises(Refused) as refused:
        await belief.require_believed(world.abroad, OTHER.checkpoint(25), *led_on)
    assert refused.value.metadata == {"why": "split_view"}


async def test_where_split_views_cannot_be_read_nothing_is_believed(world: World) -> None:
    belief = Belief(
        world.splits, world.gossip(), world.book, world.witness.key.verifier, 1, world.clock
    )
    with pytest.raises(Refused) as refused:
        belief.require_trusted(world.abroad)
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE


async def test_at_home_an_answer_waits_for_its_quorum_or_leads_on_from_an_older_one(
    world: World,
) -> None:
    hurried = 0

    def hurry() -> None:
        nonlocal hurried
        hurried += 1

    log = world.own
    with world.engines.evidence.begin() as connection:
        log.append(connection, [b"a", b"b", b"c"])
        old = log.sign(connection, 0)
        log.append(connection, [b"d", b"e"])
        new = log.sign(connection, 0)
    home = HomeQuorum(log, world.book, None, hurry)
    assert home.quorum == 3
    with pytest.raises(Refused):
        await home.cosigned(new.size, allowed, 0.05)
    assert hurried
    text, _ = taken_apart(old.note)
    lines = [cosignature_line(text, each, 0) for each in WITNESSES[:3]]
    assert add_cosignatures(world.engines.evidence, log.log, old.size, lines)
    state = await home.cosigned(new.size, allowed, 0.05)
    assert state.note == old.note + "".join(lines)
    assert state.consistency_proof == log.consistency(old.size, new.size)
    state = await home.cosigned(old.size, allowed)
    assert not state.consistency_proof
    with pytest.raises(Refused):
        await home.cosigned(99, allowed, 0.05)


async def test_at_home_a_copied_key_counts_once_and_spoils_no_cosignature(world: World) -> None:
    log = world.own
    with world.engines.evidence.begin() as connection:
        log.append(connection, [b"a"])
        signed = log.sign(connection, 0)
    former, now = colliding()
    copied = CosignerKey("copy.invalid/witness", WITNESSES[0].verifier.public)
    world.stands(
        region("aaa", witness=str(now.verifier)), region("copy", witness=str(copied)), *peers()
    )
    home = HomeQuorum(log, world.book, None, lambda: None)
    # Five keys of six regions.
    assert home.quorum == 3
    text, _ = taken_apart(signed.note)
    first = cosignature_line(text, WITNESSES[0], 0)
    alike = Cosigner("copy.invalid/witness", WITNESSES[0].private)
    lines = [cosignature_line(text, former, 0), cosignature_line(text, alike, 0), first]
    lines.append(cosignature_line(text, WITNESSES[1], 0))
    assert add_cosignatures(world.engines.evidence, log.log, signed.size, lines)
    with pytest.raises(Refused):
        await home.cosigned(signed.size, allowed, 0.05)
    lines = [cosignature_line(text, WITNESSES[2], 0)]
    assert add_cosignatures(world.engines.evidence, log.log, signed.size, lines)
    assert (await home.cosigned(signed.size, allowed, 0.05)).note.count(first) == 1
    latest = log.latest()
    assert latest is not None
    assert home.cosigned_by(latest) == [
        f"https://{name}.invalid" for name in ("copy", "peer0", "peer1", "peer2")
    ]


async def test_an_answer_that_waits_for_its_quorum_is_for_nobody_who_is_cut_off_meanwhile(
    world: World,
) -> None:
    log = world.own
    with world.engines.evidence.begin() as connection:
        log.append(connection, [b"a"])
        signed = log.sign(connection, 0)
    cut_off = asyncio.Event()

    def require() -> None:
        if cut_off.is_set():
            raise not_trusted()

    home = HomeQuorum(log, world.book, None, cut_off.set)
    async with asyncio.timeout(5):
        with pytest.raises(Refused) as refused:
            await home.cosigned(signed.size, require, 60)
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED
    text, _ = taken_apart(signed.note)
    lines = [cosignature_line(text, each, 0) for each in WITNESSES[:3]]
    assert add_cosignatures(world.engines.evidence, log.log, signed.size, lines)
    with pytest.raises(Refused) as refused:
        await home.cosigned(signed.size, require)
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED


def allowed() -> None:
    """Require nothing."""


def test_a_witness_that_cosigns_again_takes_the_place_of_its_former_line(world: World) -> None:
    log = world.own
    with world.engines.evidence.begin() as connection:
        log.append(connection, [b"a"])
        signed = log.sign(connection, 0)
    text, _ = taken_apart(signed.note)
    evidence = world.engines.evidence
    for at in (1, 2):
        line = cosignature_line(text, WITNESSES[0], at)
        assert add_cosignatures(evidence, log.log, 1, [line])
    latest = log.latest()
    assert latest is not None
    assert latest.cosigned == signed.note + line
    assert not add_cosignatures(evidence, log.log, 2, [line])


async def test_a_document_is_of_the_history_that_a_later_cosigned_state_extends(
    world: World,
) -> None:
    belief, at = await believing(world), world.clock.now()
    later = cosigned(ONE, 20, WITNESSES[:3], at)
    await belief.require_extended(world.abroad, ONE.checkpoint(13), later, ONE.proof(13, 20))
    await belief.require_extended(world.abroad, ONE.checkpoint(20), later, [])
    with pytest.raises(ProofInvalid):
        await belief.require_extended(world.abroad, OTHER.checkpoint(13), later, ONE.proof(13, 20))
    with pytest.raises(Refused):
        few = cosigned(ONE, 20, WITNESSES[:2], at)
        await belief.require_extended(world.abroad, ONE.checkpoint(13), few, ONE.proof(13, 20))
