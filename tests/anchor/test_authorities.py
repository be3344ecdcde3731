"""An anchor states no authority that a TLS library could take for another region's."""

import pytest

from gateway.anchor.authorities import require_clear_authorities
from gateway.anchor.register import NotPossible, Register
from gateway.pki.development import make_ca
from tests.anchor.test_register import empty
from tests.clock import NOW
from tests.federation.trust.signing import KEYS, LEAF, MIDDLE
from tests.pki.named import named_as

OWN = make_ca("authority of leaf", NOW)


@pytest.fixture
def register() -> Register:
    """A register with one region."""
    roots = OWN.certificate.decode()
    return empty().enrolled(LEAF, KEYS[LEAF].jwks, roots, ("31",), NOW)


def test_an_authority_named_as_that_of_another_region_is_not_stated(register: Register) -> None:
    for roots in (named_as(OWN), named_as(OWN, key_id=False)):
        with pytest.raises(NotPossible, match=LEAF):
            require_clear_authorities(register, MIDDLE, roots)
        # What it had itself may be followed by one of the same name.
        require_clear_authorities(register, LEAF, roots)


def test_what_is_the_same_or_told_apart_may_be_stated(register: Register) -> None:
    require_clear_authorities(register, MIDDLE, OWN.certificate.decode())
    require_clear_authorities(
        register, MIDDLE, make_ca("authority of leaf", NOW).certificate.decode()
    )


def test_what_cannot_be_read_is_told(register: Register) -> None:
    for roots in ("", "PEM", OWN.certificate.decode() * 17):
        with pytest.raises(NotPossible, match="cannot be read"):
            require_clear_authorities(register, MIDDLE, roots)


def test_a_region_that_was_enrolled_with_what_cannot_be_read_hinders_no_other() -> None:
    old = empty().enrolled(LEAF, KEYS[LEAF].jwks, "PEM", ("31",), NOW)
    require_clear_authorities(old, MIDDLE, OWN.certificate.decode())
