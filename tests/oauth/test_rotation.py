"""Rotation of signing keys overlaps: nobody who caches the published keys meets a stranger."""

import random
from dataclasses import dataclass, field

import pytest
from joserfc import jws

from creditgate.refusal import Refused, reason_name
from gateway.oauth.keys import CACHED_SECONDS, LEAD_SECONDS
from gateway.oauth.rotation import issue_signing_key, retire_signing_key
from tests.oauth.world import TOKEN_SECONDS, World, on_both_stores


@dataclass
class Reader:
    """A resource server that keeps its copy of the published keys as long as it may."""

    world: World
    kids: set[str] = field(default_factory=set[str])
    good_until: int = 0

    def knows(self, token: str) -> bool:
        """Tell whether it can verify a token now."""
        now = self.world.clock.now()
        if now >= self.good_until:
            self.kids = set(self.world.snapshot().signing_keys)
            self.good_until = now + CACHED_SECONDS
        return jws.extract_compact(token.encode()).headers()["kid"] in self.kids


def sign(world: World) -> str:
    """Return a token signed now."""
    now = world.clock.now()
    return world.keys.sign(world.snapshot().signing_keys, {"iat": now}, "at+jwt", now)


def rotate(world: World) -> str:
    """Issue a key as an operator of the gateway does, and return its kid."""
    return issue_signing_key(
        world.log,
        world.keys,
        algorithm="ES256",
        changed_by="office",
        now=world.clock.now(),
        reason="test",
        lead_seconds=LEAD_SECONDS,
    )


def retire(world: World, kid: str, token_seconds: int = TOKEN_SECONDS) -> str:
    """Retire a key, or return why not."""
    try:
        retire_signing_key(
            world.log,
            world.keys,
            world.snapshot().signing_keys,
            kid,
            changed_by="office",
            now=world.clock.now(),
            reason="test",
            token_seconds=token_seconds,
        )
    except Refused as refused:
        return reason_name(refused.reason)
    return ""


def test_readers_with_cached_keys_verify_every_living_token_all_along(world: World) -> None:
    chance = random.Random(17)  # a schedule, no secret
    begun = world.clock.seconds
    readers = [Reader(world, good_until=begun - chance.randrange(60)) for _ in range(20)]
    living: list[tuple[int, str]] = []
    (old,) = world.snapshot().signing_keys
    new, retired_at, signers = "", 0, set[str]()
    for second in range(0, LEAD_SECONDS + 3 * TOKEN_SECONDS, 5):
        world.clock.seconds = begun + second
        if second == TOKEN_SECONDS:
            new = rotate(world)
        if new and not retired_at and not retire(world, old):
            retired_at = second
        living.append((second + TOKEN_SECONDS, sign(world)))
        signers.add(jws.extract_compact(living[-1][1].encode()).headers()["kid"])
        living = [(until, token) for until, token in living if second < until]
        for reader in chance.sample(readers, 5):
            assert all(reader.knows(token) for _, token in living), second
    assert signers == {old, new}
    assert retired_at == TOKEN_SECONDS + LEAD_SECONDS + TOKEN_SECONDS
    assert set(world.snapshot().signing_keys) == {new}


def test_a_key_is_published_at_once_and_signs_after_its_lead(world: World) -> None:
    (old,) = world.snapshot().signing_keys
    new = rotate(world)
    begins = world.clock.now() + LEAD_SECONDS
    book = world.snapshot().signing_keys
    assert set(book) == {old, new}
    assert book.signing_kids(begins - 1) == (old,)
    assert book.signing_kids(begins) == (new, old)


@on_both_stores
def test_a_key_is_not_retired_while_its_tokens_live_except_at_once(world: World) -> None:
    (old,) = world.snapshot().signing_keys
    rotate(world)
    assert retire(world, old) == "STATE_CONFLICT"
    world.clock.seconds += LEAD_SECONDS
    assert retire(world, old) == "STATE_CONFLICT"
    world.clock.seconds += TOKEN_SECONDS - 1
    assert retire(world, old) == "STATE_CONFLICT"
    assert retire(world, old, token_seconds=0) == ""


@pytest.mark.parametrize("token_seconds", [0, TOKEN_SECONDS])
def test_a_key_is_not_retired_while_it_signs_for_one_whose_file_cannot_be_used(
    world: World, token_seconds: int
) -> None:
    (old,) = world.snapshot().signing_keys
    file = world.folder / "keys" / f"{rotate(world)}.pem"
    kept = file.read_bytes()
    file.write_bytes(kept[:40])
    world.clock.seconds += LEAD_SECONDS + TOKEN_SECONDS
    assert retire(world, old, token_seconds) == "STATE_CONFLICT"
    assert sign(world)
    file.write_bytes(kept)
    assert retire(world, old, token_seconds) == ""
    assert sign(world)


def test_a_key_that_never_signed_can_be_retired_again(world: World) -> None:
    new = rotate(world)
    assert retire(world, new) == ""
    world.clock.seconds += LEAD_SECONDS
    assert sign(world)


@pytest.mark.parametrize("later", [0, 10, LEAD_SECONDS])
def test_of_three_keys_each_is_superseded_by_the_next(world: World, later: int) -> None:
    (first,) = world.snapshot().signing_keys
    second = rotate(world)
    world.clock.seconds += later
    third = rotate(world)
    book = world.snapshot().signing_keys
    now = world.clock.now()
    assert book.superseded_at(first) == now - later + LEAD_SECONDS
    assert book.superseded_at(second) == now + LEAD_SECONDS
    assert book.superseded_at(third) is None
