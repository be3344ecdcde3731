"""Since when keys are there is told by the history of the client."""

from collections.abc import Sequence

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.pki.client_keys import make_assertion_key
from gateway.portal.key_ages import REPLACE_SECONDS, held_keys
from operators.log import Change
from operators.model import CLIENT, Client

FIRST, SECOND = make_assertion_key().jwks, make_assertion_key().jwks
ONE, TWO = "A" * 43, "E" * 43


def client(jwks: str, certificates: Sequence[str], at: int) -> Client:
    """Return a client with these keys, changed at an instant."""
    return Client(
        client_id="alpha-one",
        role=ClientRole.CLIENT_ROLE_OPERATOR,
        operator_id="alpha",
        jwks=jwks,
        certificate_thumbprints=frozenset(certificates),
        changed_at=at,
    )


def history(*versions: Client) -> list[Change]:
    """Return these versions as the log keeps them."""
    return [
        Change(number, CLIENT, each.client_id, number, each.as_document(), "x", each.changed_at, "")
        for number, each in enumerate(versions, 1)
    ]


def ages(*versions: Client) -> list[tuple[bool, int]]:
    """Return whether each is a certificate, and since when it is there."""
    return [(key.certificate, key.since) for key in held_keys(versions[-1], history(*versions))]


def test_a_key_counts_from_the_change_that_brought_it() -> None:
    assert ages(client(FIRST, [ONE], 100)) == [(False, 100), (True, 100)]
    assert ages(client(FIRST, [ONE], 100), client(FIRST, [ONE, TWO], 200)) == [
        (False, 100),
        (True, 100),
        (True, 200),
    ]


def test_a_rotated_key_is_new_and_what_stayed_is_as_old_as_it_was() -> None:
    assert ages(client(FIRST, [ONE], 100), client(SECOND, [ONE], 200)) == [
        (False, 200),
        (True, 100),
    ]


def test_what_came_back_counts_from_when_it_came_back() -> None:
    versions = client(FIRST, [ONE], 100), client(SECOND, [ONE], 200), client(FIRST, [ONE], 300)
    assert ages(*versions)[0] == (False, 300)


def test_a_key_is_due_a_year_after_it_was_registered() -> None:
    (key, _) = held_keys(client(FIRST, [ONE], 100), history(client(FIRST, [ONE], 100)))
    assert key.replace_at == 100 + REPLACE_SECONDS
    assert key.algorithm
    assert key.thumbprint
