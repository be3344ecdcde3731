"""What a certificate is worth once the disclosure log has gone over to another key: it holds where the
key of its checkpoint is linked, and is superseded where it was stolen."""

from collections.abc import Iterator

import pytest

from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.succession import succession_note
from gateway.conformance.certified import Certified
from tests.conformance.enforcing import Enforced, enforced_on
from tests.transparency.keys import key_of

FOLLOWING = key_of("gateway.example/disclosure/2")


@pytest.fixture(scope="module", params=["sqlite"])
def world(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An operator that was given a certificate."""
    with enforced_on(request) as enforced:
        enforced.newcomer()
        enforced.serve("r-1")
        enforced.checkpoint()
        assert enforced.attest(copies=1).certificate
        yield enforced


def certified(world: Enforced, *notes: str) -> Certified:
    """Return what tells the worth of certificates after that, by the notes of former keys."""
    keys = LinkedKeys.of(FOLLOWING.verifier, notes)
    return Certified(world.attested, world.findings, keys, lambda _: True)


def test_a_certificate_of_a_linked_key_is_in_force(world: Enforced) -> None:
    told = certified(world, succession_note(1, bytes(32), FOLLOWING, world.log_key))
    last = world.attested.last(world.firm)
    assert last is not None
    assert told.in_force(world.firm, world.clock.now()) == last.certificate


def test_a_certificate_of_a_stolen_key_is_superseded(world: Enforced) -> None:
    last = world.attested.last(world.firm)
    assert last is not None
    assert certified(world).status(last.attestation_id, world.clock.now()) == "superseded"


def test_a_certificate_of_a_stolen_key_is_not_handed_out(world: Enforced) -> None:
    assert certified(world).in_force(world.firm, world.clock.now()) == ""
