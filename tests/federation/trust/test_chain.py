"""Trust chains: what makes one hold (OpenID Federation 1.0, section 10.2)."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.federation.trust.chain import AnchorTrust, verified_chain
from gateway.federation.trust.constraints import allowed_types
from gateway.federation.trust.statement import EntityStatement, StatementInvalid, self_signed
from tests.clock import NOW
from tests.federation.trust.signing import (
    ANCHOR,
    KEYS,
    LEAF,
    MIDDLE,
    TRUST,
    UNTIL,
    anchor,
    leaf,
    new_key,
    short_chain,
    statement,
)

REGION = "public_credit_region"


def long_chain(**of_anchor: Any) -> list[str]:
    return [leaf(), statement(MIDDLE, LEAF), statement(ANCHOR, MIDDLE, **of_anchor), anchor()]


def test_a_chain_to_the_anchor_holds_until_its_first_statement_expires() -> None:
    chain = verified_chain(
        [leaf(), statement(ANCHOR, LEAF, exp=NOW + 5, revision=7), anchor()], TRUST, NOW
    )
    assert (chain.entity_id, chain.expires_at, chain.revision) == (LEAF, NOW + 5, 7)
    assert verified_chain(long_chain(), TRUST, NOW).expires_at == UNTIL


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_chain_ends_when_any_of_its_statements_does(place: int) -> None:
    made = (leaf, partial(statement, ANCHOR, LEAF), anchor)
    chain = [make(exp=NOW + 5) if number == place else make() for number, make in enumerate(made)]
    assert verified_chain(chain, TRUST, NOW + 4)
    with pytest.raises(StatementInvalid, match="expired"):
        verified_chain(chain, TRUST, NOW + 5)


@pytest.mark.parametrize("place", [0, 1, 2])
@given(at=st.integers(0, 10_000), bit=st.integers(0, 5))
def test_a_chain_with_one_character_changed_is_never_believed(
    place: int, at: int, bit: int
) -> None:
    chain = short_chain()
    text = chain[place]
    index = at % len(text)
    changed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    letter = text[index]
    other = changed[(changed.index(letter) ^ (1 << bit)) % 64] if letter != "." else "A"
    chain[place] = text[:index] + other + text[index + 1 :]
    # The last character of a signature has bits that mean nothing.
    if other == letter or index == len(text) - 1:
        return
    with pytest.raises(StatementInvalid):
        verified_chain(chain, TRUST, NOW)


FORGED = {
    "another anchor's key": lambda: [leaf(), statement(ANCHOR, LEAF), anchor(key=new_key())],
    "a leaf signed by a key the anchor does not name": lambda: [
        leaf(key=(key := new_key()), jwks=key.jwks),
        statement(ANCHOR, LEAF),
        anchor(),
    ],
    "a leaf that does not name the key it is signed with": lambda: [
        leaf(jwks=new_key().jwks),
        statement(ANCHOR, LEAF),
        anchor(),
    ],
    "a statement about another entity": lambda: [leaf(), statement(ANCHOR, MIDDLE), anchor()],
    "a statement of another entity": lambda: [leaf(), statement(MIDDLE, LEAF), anchor()],
    "a statement in another's name": lambda: [
        leaf(),
        statement(MIDDLE, LEAF, key=KEYS[ANCHOR]),
        anchor(),
    ],
    "a configuration inside": lambda: [leaf(), statement(ANCHOR, LEAF), anchor(), anchor()],
    "no statement between": lambda: [leaf(), anchor()],
    "its own superior": lambda: [leaf(), leaf(), anchor()],
    "a chain without end": lambda: [leaf(), *[statement(ANCHOR, LEAF)] * 9, anchor()],
    "a statement of another type": lambda: [leaf(), statement(ANCHOR, LEAF, typ="JWT"), anchor()],
    "a statement from the future": lambda: short_chain(iat=NOW + 61),
    "a critical claim that is not known": lambda: short_chain(crit=["new"], new=1),
    "authority_hints of a superior": lambda: short_chain(authority_hints=[ANCHOR]),
    "constraints that cannot be kept": lambda: short_chain(constraints={"new": 1}),
    "names that are kept in another way": lambda: short_chain(
        constraints={"naming_constraints": {"permitted": [".example"], "new": []}}
    ),
    "a length that is none": lambda: short_chain(constraints={"max_path_length": "1"}),
    "a policy of the leaf's own": lambda: [
        leaf(metadata_policy={REGION: {"codes": {"value": ["11"]}}}),
        statement(ANCHOR, LEAF),
        anchor(),
    ],
    "a critical policy operator that is not known": lambda: short_chain(
        metadata_policy_crit=["regexp"]
    ),
    "no keys": lambda: short_chain(jwks={"keys": []}),
    "a private key": lambda: short_chain(jwks={"keys": [{**KEYS[LEAF].public, "d": "AA"}]}),
    "keys without kid": lambda: short_chain(
        jwks={"keys": [{k: v for k, v in KEYS[LEAF].public.items() if k != "kid"}]}
    ),
    "two keys of one kid": lambda: short_chain(
        jwks={"keys": [KEYS[LEAF].public, {**new_key().public, "kid": KEYS[LEAF].kid}]}
    ),
    "another key without kid": lambda: short_chain(
        jwks={
            "keys": [
                KEYS[LEAF].public,
                {k: v for k, v in KEYS[MIDDLE].public.items() if k != "kid"},
            ]
        }
    ),
    "claims that are missing": lambda: short_chain(exp=None),
    "no JWT": lambda: ["x", "y", "z"],
    "text beyond all measure": lambda: ["a" * 300_000, statement(ANCHOR, LEAF), anchor()],
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_chain_that_breaks_a_rule_is_not_believed(forged: str) -> None:
    with pytest.raises(StatementInvalid):
        verified_chain(FORGED[forged](), TRUST, NOW)


def test_an_anchor_changes_its_key_through_its_own_configuration() -> None:
    newer = new_key()
    both = {"keys": [KEYS[ANCHOR].public, newer.public]}
    chain = [leaf(), statement(ANCHOR, LEAF, key=newer), anchor(jwks=both)]
    assert verified_chain(chain, TRUST, NOW).entity_id == LEAF
    with pytest.raises(StatementInvalid):
        verified_chain([leaf(), statement(ANCHOR, LEAF, key=newer), anchor()], TRUST, NOW)


def test_another_anchor_is_not_trusted_for_having_the_same_key() -> None:
    with pytest.raises(StatementInvalid, match="anchor"):
        verified_chain(short_chain(), AnchorTrust(MIDDLE, KEYS[ANCHOR].jwks), NOW)


def test_a_superior_bounds_the_length_of_the_path() -> None:
    assert verified_chain(long_chain(constraints={"max_path_length": 1}), TRUST, NOW)
    with pytest.raises(StatementInvalid, match="longer"):
        verified_chain(long_chain(constraints={"max_path_length": 0}), TRUST, NOW)


@pytest.mark.parametrize(
    ("naming", "allowed"),
    [
        ({"permitted": [".example"]}, True),
        ({"permitted": ["leaf.example", "MIDDLE.example"]}, True),
        ({"permitted": ["leaf.example"]}, False),
        ({"permitted": ["example"]}, False),
        ({"permitted": [".leaf.example", ".middle.example"]}, False),
        ({"permitted": []}, False),
        ({"excluded": ["leaf.example"]}, False),
        ({"excluded": [".middle.example"]}, True),
        ({"permitted": [".example"], "excluded": [".example"]}, False),
    ],
)
def test_a_superior_bounds_the_names_of_all_below_it(naming: Any, allowed: bool) -> None:
    chain = long_chain(constraints={"naming_constraints": naming})
    if allowed:
        assert verified_chain(chain, TRUST, NOW)
    else:
        with pytest.raises(StatementInvalid, match="name"):
            verified_chain(chain, TRUST, NOW)


@pytest.mark.parametrize(
    ("entity_id", "allowed"),
    [
        ("https://a.good.example", True),
        ("https://A.good.example:8443/region", True),
        ("https://good.example", False),
        ("https://a.good.example.evil.test", False),
        ("https://a.good.example@evil.test", False),
        ("https://evil.test/a.good.example", False),
        ("https://a.good.example\\@evil.test", False),
        ("https://[::1]/a.good.example", False),
        ("https://evil.test#a.good.example", False),
    ],
)
def test_the_name_of_an_entity_is_its_host_and_nothing_that_looks_like_one(
    entity_id: str, allowed: bool
) -> None:
    stated = EntityStatement(
        iss=ANCHOR,
        sub=entity_id,
        iat=NOW,
        exp=NOW + 9,
        jwks={},
        constraints={"naming_constraints": {"permitted": [".good.example"]}},
    )
    if allowed:
        assert allowed_types([stated]) is None
    else:
        with pytest.raises(StatementInvalid, match="name"):
            allowed_types([stated])


def test_superiors_bound_the_types_of_an_entity_each_within_those_above() -> None:
    metadata = {
        REGION: {"issuer": LEAF},
        "other": {"p": 1},
        "third": {},
        "federation_entity": {"q": 2},
    }

    def types(of_middle: list[str] | None, of_anchor: list[str] | None) -> set[str]:
        below, above = (
            dict[str, Any](constraints={} if each is None else {"allowed_entity_types": each})
            for each in (of_middle, of_anchor)
        )
        chain = [
            leaf(metadata=metadata),
            statement(MIDDLE, LEAF, **below),
            statement(ANCHOR, MIDDLE, **above),
            anchor(),
        ]
        return set(verified_chain(chain, TRUST, NOW).metadata)

    assert types(None, None) == set(metadata)
    assert types(None, [REGION]) == {REGION, "federation_entity"}
    assert types([REGION, "other"], ["other", "third"]) == {"other", "federation_entity"}
    assert types([REGION], []) == {"federation_entity"}


def test_what_a_region_is_home_of_is_what_the_anchor_says() -> None:
    chain = [
        leaf(metadata={REGION: {"codes": ["11", "12"], "issuer": LEAF}}),
        statement(ANCHOR, LEAF, metadata_policy={REGION: {"codes": {"value": ["31"]}}}),
        anchor(),
    ]
    assert verified_chain(chain, TRUST, NOW).metadata[REGION] == {"codes": ["31"], "issuer": LEAF}


def test_a_configuration_alone_proves_no_more_than_who_holds_its_keys() -> None:
    assert self_signed(leaf(), NOW).sub == LEAF
    with pytest.raises(StatementInvalid):
        self_signed(leaf(jwks=new_key().jwks), NOW)
    with pytest.raises(StatementInvalid):
        self_signed(statement(ANCHOR, LEAF, key=KEYS[LEAF]), NOW)
