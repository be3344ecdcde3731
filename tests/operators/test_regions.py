"""Regions: their clients come of chain and admission together, and of nothing else."""

from typing import Any

import pytest
from pydantic import ValidationError

from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.vocabulary_pb2 import Purpose
from operators.authority import Authority
from operators.decision import Allow, Ask, Refuse
from operators.kept import Kept
from operators.log import Change
from operators.model import CLIENT, LICENCE, OPERATOR, SCOPE_GRANT, Client
from operators.regions import REGION, REGION_ADMISSION, REGION_CLASS, region_client_id
from operators.rules import decide, may_call
from tests.clock import NOW
from tests.operators import things
from tests.operators.regions import ENTITY, KEYS, THUMBPRINT, admission, known

CLIENT_ID = region_client_id(ENTITY)
QUERY = "federation.records:query"


def after(*kept: tuple[str, str, Kept], start: Authority | None = None) -> Authority:
    state = start or Authority.empty()
    changes = [
        Change(state.sequence + number, kind, id_, 1, thing.as_document(), "t", NOW, "")
        for number, (kind, id_, thing) in enumerate(kept, 1)
    ]
    return state.advanced(changes)


def admitted() -> Authority:
    return after(
        (OPERATOR, "alpha", things.operator(operator_class=REGION_CLASS)),
        (LICENCE, "L-1", things.licence(valid_until=NOW + 1_000)),
        (SCOPE_GRANT, "g", things.grant(scope=QUERY)),
        (REGION, CLIENT_ID, known()),
        (REGION_ADMISSION, CLIENT_ID, admission()),
    )


def test_a_client_id_follows_from_the_entity_alone_and_is_one() -> None:
    assert region_client_id(ENTITY) == region_client_id(ENTITY)
    assert region_client_id(ENTITY) != region_client_id(ENTITY + "/")
    with pytest.raises(ValidationError):
        known(client_id=region_client_id("https://west.example"))
    with pytest.raises(ValidationError):
        admission(client_id="region-one")


def test_neither_chain_nor_admission_alone_make_a_client() -> None:
    alone = after((REGION, CLIENT_ID, known()))
    assert CLIENT_ID not in alone.clients
    assert CLIENT_ID not in after((REGION_ADMISSION, CLIENT_ID, admission())).clients
    client = after((REGION_ADMISSION, CLIENT_ID, admission()), start=alone).clients[CLIENT_ID]
    assert (client.role, client.operator_id) == (ClientRole.CLIENT_ROLE_REGION, "alpha")
    assert (client.jwks, client.certificate_thumbprints) == (KEYS, {THUMBPRINT})


def test_new_keys_of_a_chain_take_the_place_of_the_old() -> None:
    other = "B" * 42 + "A"
    state = after((REGION, CLIENT_ID, known(certificate_thumbprints={other})), start=admitted())
    assert state.clients[CLIENT_ID].certificate_thumbprints == {other}


def test_a_region_dismissed_is_a_client_removed_and_may_be_admitted_again() -> None:
    dismissed = admission(dismissed_at=NOW)
    state = after((REGION_ADMISSION, CLIENT_ID, dismissed), start=admitted())
    assert state.clients[CLIENT_ID].removed_at == NOW
    assert may_call(state, CLIENT_ID, QUERY, frozenset({QUERY}), NOW) is not None
    again = after((REGION_ADMISSION, CLIENT_ID, admission()), start=state)
    assert again.clients[CLIENT_ID].removed_at is None


def test_no_registered_client_takes_the_place_of_a_regions() -> None:
    own = Client(
        client_id=CLIENT_ID,
        role=ClientRole.CLIENT_ROLE_OPERATOR,
        operator_id="alpha",
        jwks=KEYS,
        certificate_thumbprints=frozenset({"C" * 42 + "A"}),
    )
    state = after((CLIENT, CLIENT_ID, own), start=admitted())
    assert state.clients[CLIENT_ID].role == ClientRole.CLIENT_ROLE_REGION


def test_a_region_is_bound_by_its_own_licence_as_an_operator_is() -> None:
    def asked(state: Authority, item: str = "penalty") -> Allow | Refuse:
        ask = Ask(
            CLIENT_ID, QUERY, frozenset({QUERY}), frozenset({item}), Purpose.PURPOSE_CREDIT_APPROVAL
        )
        return decide(state, ask, NOW)

    state = admitted()
    allowed = asked(state)
    assert isinstance(allowed, Allow)
    assert (allowed.operator_id, allowed.licence) == ("alpha", "L-1")
    assert isinstance(asked(state, "tax"), Refuse)
    ended = after((LICENCE, "L-1", things.licence(revoked_at=NOW)), start=state)
    assert isinstance(asked(ended), Refuse)


@pytest.mark.parametrize(
    "changed",
    [
        {"grpc": ()},
        {"grpc": ("no port",)},
        {"codes": ("3",)},
        {"codes": ()},
        {"certificate_thumbprints": set()},
        {"jwks": "{}"},
        {"log_keys": {"other": "x"}},
        {"issuer": "http://east.example"},
        {"entity_id": "http://east.example"},
        {"unknown": 1},
    ],
)
def test_a_region_described_otherwise_than_it_must_be_is_not_kept(
    changed: dict[str, Any],
) -> None:
    with pytest.raises(ValidationError):
        known(**changed)
