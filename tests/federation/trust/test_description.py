"""What a region says of itself is its own, or its statement is not believed."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from creditgate.transparency.succession import announcement_note
from gateway.federation.trust.chain import verified_chain
from gateway.federation.trust.description import known_region
from gateway.federation.trust.places import owner_of, require_own_places
from gateway.federation.trust.statement import REGION_METADATA, StatementInvalid
from gateway.pki.development import make_ca
from operators.regions import KnownRegion
from tests.clock import NOW
from tests.federation.trust.signing import ANCHOR, LEAF, TRUST, anchor, leaf, statement
from tests.operators.regions import KEYS, THUMBPRINT, known
from tests.transparency.keys import key_of
from tests.transparency.test_cosignatures import Cosigner

OTHER: Final = "https://other.example"
CA: Final = make_ca("leaf CA", NOW).certificate.decode()
NEXT: Final = make_ca("leaf CA of next year", NOW).certificate.decode()
JWK: Final = json.loads(KEYS)["keys"][0]


def said(**changed: Any) -> dict[str, Any]:
    """Return the metadata of a region that says nothing wrong."""
    return {
        "grpc": ["leaf.example:443"],
        "issuer": LEAF,
        "tls_roots": CA,
        "certificate_thumbprints": [THUMBPRINT],
        "codes": ["31"],
        "log_keys": {},
        "jwks": {"keys": [JWK]},
        "document_keys": {"keys": [{**JWK, "kid": "a"}]},
        "catalogue": f"{LEAF}/federation/catalogue",
        **changed,
    }


def read(stated: str = CA, **changed: Any) -> KnownRegion:
    """Return what a chain says, whose anchor states the authorities ``stated``."""
    chain = [
        leaf(metadata={REGION_METADATA: said(**changed)}),
        statement(ANCHOR, LEAF, tls_roots=stated),
        anchor(),
    ]
    return known_region(verified_chain(chain, TRUST, NOW))


def test_a_region_is_what_it_says_of_itself() -> None:
    region = read()
    assert (region.entity_id, region.issuer, region.roots) == (LEAF, LEAF, CA)


@pytest.mark.parametrize(
    "lie",
    [
        {"issuer": OTHER},
        {"issuer": f"{LEAF}/"},
        {"catalogue": f"{OTHER}/federation/catalogue"},
        {"catalogue": f"{LEAF}.evil.example/catalogue"},
    ],
)
def test_a_region_that_names_what_is_anothers_is_not_believed(lie: Mapping[str, Any]) -> None:
    with pytest.raises(StatementInvalid, match="not its own"):
        read(**lie)


def test_authorities_are_those_that_the_anchor_states_too_written_anew() -> None:
    junk = "-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n"
    assert read(tls_roots=f"!\n{CA}{junk}# the end").roots == CA
    # The old and the new, until the anchor states both.
    both = CA + NEXT
    assert read(tls_roots=both).roots == CA
    assert read(both, tls_roots=both).roots == both
    assert read(both, tls_roots=NEXT).roots == NEXT


@pytest.mark.parametrize(
    "roots",
    [
        NEXT,
        "",
        "PEM",
        CA.replace("MII", "AAA", 1),
        [CA],
        None,
        {"a": 1},
        7,
        CA * 17,
        "é",
        " " * 65_537,
    ],
)
def test_authorities_that_the_anchor_does_not_state_or_nobody_can_read_are_not_believed(
    roots: object,
) -> None:
    with pytest.raises(StatementInvalid):
        read(tls_roots=roots)


@pytest.mark.parametrize("stated", ["", "PEM", NEXT])
def test_an_anchor_that_states_no_such_authority_lets_none_be_believed(stated: str) -> None:
    with pytest.raises(StatementInvalid):
        read(stated)


def keyed(entity_id: str, name: str) -> KnownRegion:
    """Return a region whose log and witness are called so."""
    log, witness = key_of(f"{name}/log/disclosure"), Cosigner(f"{name}/witness")
    return known(
        entity_id,
        log_keys={"disclosure": str(log.verifier), "witness": str(witness.verifier)},
    )


ENROLLED: Final = (LEAF, OTHER, f"{OTHER}/east", "https://other.example:8443")


@pytest.mark.parametrize(
    ("entity_id", "name"),
    [
        (LEAF, "leaf.example"),
        # As the gateway was called before it had an issuer, or by its former issuer.
        (LEAF, "127.0.0.1:8443"),
        (LEAF, "former.example"),
        (LEAF, "another.example"),
        (OTHER, "other.example"),
        (OTHER, "other.example/west"),
        (OTHER, "other.example/eastern"),
        (f"{OTHER}/east", "other.example/east"),
        ("https://other.example:8443", "other.example:8443"),
    ],
)
def test_a_key_may_have_a_name_at_the_regions_own_place_or_at_nobodys(
    entity_id: str, name: str
) -> None:
    require_own_places(keyed(entity_id, name), ENROLLED)


@pytest.mark.parametrize(
    ("entity_id", "name"),
    [
        (LEAF, "other.example"),
        (LEAF, "OTHER.example"),
        (LEAF, "other.example:8443"),
        (LEAF, "other.example/x"),
        (OTHER, "other.example/east"),
        (f"{OTHER}/east", "other.example"),
    ],
)
def test_no_key_may_have_a_name_at_the_place_of_another_region(entity_id: str, name: str) -> None:
    with pytest.raises(StatementInvalid, match="place of another"):
        require_own_places(keyed(entity_id, name), ENROLLED)


def test_no_key_that_is_announced_may_have_a_name_at_the_place_of_another_region() -> None:
    present = key_of("leaf.example/log/disclosure")
    for name, allowed in (("leaf.example/log/disclosure/2", True), ("other.example/log", False)):
        note = announcement_note(key_of(name).verifier, present)
        region = known(
            LEAF,
            log_keys={"disclosure": str(present.verifier)},
            log_links={"disclosure": (note,)},
        )
        if allowed:
            require_own_places(region, ENROLLED)
        else:
            with pytest.raises(StatementInvalid, match="place of another"):
                require_own_places(region, ENROLLED)


def test_a_place_is_of_the_nearest_entity_above_it() -> None:
    assert owner_of("other.example/east/log/disclosure", ENROLLED) == f"{OTHER}/east"
    assert owner_of("other.example", ENROLLED) == OTHER
    assert owner_of("other.example.evil/log", ENROLLED) == ""
