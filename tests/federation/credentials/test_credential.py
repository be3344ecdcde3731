"""Licence credentials: what they say, and that nothing else than that is ever read from one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.federation.credentials.credential import (
    CREDENTIAL_TYPE,
    credential_claims,
    read_credential,
    require_in_force,
)
from gateway.federation.credentials.status_list import (
    STATUS_LIST_TYPE,
    LicenceStatus,
    StatusList,
    indexes_of,
    read_status_list,
    status_list_claims,
    statuses_of,
)
from gateway.federation.credentials.verifying import ShownLicences
from gateway.federation.trust.book import Region
from gateway.federation.trust.entity_key import EntityKey
from gateway.federation.trust.hearing import not_heard
from gateway.federation.trust.statement import StatementInvalid
from operators.authority import Authority
from operators.log import Change
from operators.model import LICENCE, OPERATOR, Licence, Operator
from tests.clock import NOW, StandingClock
from tests.federation.trust.signing import LEAF, MIDDLE, new_key
from tests.people import COMPANY

DOCUMENTS, HOLDER = new_key(), new_key()
PURPOSE = Purpose.PURPOSE_SUPPLIER_CHECK
OPERATOR_ = Operator(
    operator_id="alpha",
    display_name="Invented firm",
    uscc=COMPANY,
    state=OperatorState.OPERATOR_STATE_ACTIVE,
)
LICENCE_ = Licence(
    number="L-1",
    operator_id="alpha",
    valid_from=NOW - 100,
    valid_until=NOW + 100,
    items=frozenset({"penalty", "tax"}),
    purposes=frozenset({PURPOSE}),
    regions=frozenset({"31", "3201"}),
    daily_record_quota=5,
)


def claims(**changed: Any) -> dict[str, Any]:
    made = credential_claims(
        LEAF, OPERATOR_, LICENCE_, index=3, holder=HOLDER.kid, now=NOW, until=NOW + 60
    )
    return {**made, **changed}


def credential(key: EntityKey = DOCUMENTS, typ: str = CREDENTIAL_TYPE, **changed: Any) -> str:
    return key.sign(claims(**changed), typ)


def region(**changed: Any) -> Region:
    return Region(
        entity_id=LEAF,
        operator_id="region-leaf",
        client_id="region-x",
        grpc=("leaf.example:443",),
        issuer=LEAF,
        roots=b"",
        certificate_thumbprints=frozenset(),
        codes=("31",),
        log_keys={},
        jwks=json.dumps(HOLDER.jwks),
        document_keys=json.dumps(DOCUMENTS.jwks),
        catalogue=f"{LEAF}/catalogue",
        catalogue_version="",
        stands_until=NOW + 1_000,
    )._replace(**changed)


class Statuses:
    """What a region said of its licences: one status for all, or nothing."""

    def __init__(self, status: LicenceStatus | None = LicenceStatus.VALID) -> None:
        self.status = status

    def current(self, entity_id: str) -> StatusList:
        assert entity_id == LEAF
        if self.status is None:
            raise not_heard()
        return StatusList(1, NOW, bytes([self.status * 0b01010101]))


def shown(text: str, where: Region | None = None, **world: Any) -> RefusalReason.ValueType | None:
    """Return how a credential is refused, None where it is not."""
    statuses = world.get("statuses") or Statuses()
    reader = ShownLicences(statuses, world.get("clock") or StandingClock())
    where = where or region()
    try:
        reader.shown(text, where)
    except Refused as refused:
        assert not reader.stands(text, where)
        return refused.reason
    assert reader.stands(text, where)
    return None


INVALID = RefusalReason.REFUSAL_REASON_LICENCE_CREDENTIAL_INVALID


def test_a_credential_says_what_the_licence_does() -> None:
    licence = ShownLicences(Statuses(), StandingClock()).shown(credential(), region())
    assert (licence.region, licence.operator_id, licence.number) == (LEAF, "alpha", "L-1")
    assert licence.items == LICENCE_.items
    assert licence.purposes == {"SUPPLIER_CHECK"}
    assert licence.regions == LICENCE_.regions
    # It holds no longer than the credential, however long the licence is.
    assert (licence.start, licence.until) == (NOW - 100, NOW + 60)


@pytest.mark.parametrize(
    "text",
    [
        credential(new_key()),
        credential(typ="JWT"),
        credential(iss=MIDDLE),
        credential(vct="urn:other"),
        credential(exp=NOW),
        credential(iat=NOW + 61),
        credential(licence={**claims()["licence"], "valid_until": NOW}),
        credential(licence={**claims()["licence"], "valid_from": NOW + 1}),
        credential(licence={**claims()["licence"], "narrower": True}),
        credential(licence={**claims()["licence"], "items": []}),
        credential(cnf={"jkt": new_key().kid}),
        credential(cnf={}),
        credential(unknown=1),
        credential(status={"status_list": {"idx": 3, "uri": f"{MIDDLE}/federation/status"}}),
        credential(status={"status_list": {"idx": -1, "uri": "x"}}),
        "not a credential",
        "a" * 20_000,
        "",
    ],
)
def test_what_is_no_credential_of_the_region_that_shows_it_is_refused(text: str) -> None:
    assert shown(text) == INVALID


def test_a_suspended_or_revoked_licence_and_one_of_unknown_status_are_refused() -> None:
    assert shown(credential()) is None
    assert shown(credential(), statuses=Statuses(LicenceStatus.SUSPENDED)) == INVALID
    assert shown(credential(), statuses=Statuses(LicenceStatus.INVALID)) == INVALID
    unknown = shown(credential(), statuses=Statuses(None))
    assert unknown == RefusalReason.REFUSAL_REASON_FEDERATION_UNKNOWN


def test_a_credential_read_once_ends_with_its_time_its_status_and_its_key() -> None:
    clock, statuses = StandingClock(), Statuses()
    reader = ShownLicences(statuses, clock)
    text = credential()
    assert reader.stands(text, region())
    statuses.status = LicenceStatus.SUSPENDED
    assert not reader.stands(text, region())
    statuses.status = LicenceStatus.VALID
    other = region(document_keys=json.dumps(new_key().jwks))
    assert not reader.stands(text, other)
    retired = {"keys": [{**DOCUMENTS.public, "exp": NOW - 1}]}
    assert not reader.stands(text, region(document_keys=json.dumps(retired)))
    assert not reader.stands(text, region(jwks=json.dumps(new_key().jwks)))
    assert reader.stands(text, region())
    clock.at = NOW + 60
    assert not reader.stands(text, region())


def test_a_licence_in_force_for_no_instant_is_refused_by_the_pure_rules_too() -> None:
    read = read_credential(credential(), LEAF, DOCUMENTS.jwks)
    require_in_force(read, NOW + 59)
    for at in (NOW - 200, NOW + 60):
        with pytest.raises(StatementInvalid):
            require_in_force(read, at)


STATUSES = st.lists(st.sampled_from(list(LicenceStatus)), max_size=200)


def status_list(statuses: list[LicenceStatus], key: EntityKey = DOCUMENTS, **changed: Any) -> str:
    made = status_list_claims(LEAF, statuses, 7, NOW, 300)
    return key.sign({**made, **changed}, STATUS_LIST_TYPE)


@given(STATUSES)
def test_a_status_list_reads_as_it_was_written(statuses: list[LicenceStatus]) -> None:
    read = read_status_list(status_list(statuses), LEAF, DOCUMENTS.jwks, NOW)
    assert [read.status(index) for index in range(len(statuses))] == statuses
    assert (read.number, read.issued_at) == (7, NOW)
    # Beyond the list nothing is valid, but for the rest of its last byte, which is no licence's.
    assert read.status((len(statuses) + 3) // 4 * 4) == LicenceStatus.INVALID
    assert read.status(-1) == LicenceStatus.INVALID


def test_the_list_of_the_specification_is_read_as_it_says() -> None:
    # draft-ietf-oauth-status-list, section 4.1: the example of 2-bit statuses.
    text = status_list([], status_list={"bits": 2, "lst": "eNo76fITAAPfAgc"})
    read = read_status_list(text, LEAF, DOCUMENTS.jwks, NOW)
    assert read.statuses == bytes([0xC9, 0x44, 0xF9])
    told = [read.status(index) for index in range(12)]
    as_written = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
    # What is none of the types stands for invalid.
    assert told == [1 if value == 3 else value for value in as_written]


@pytest.mark.parametrize(
    "text",
    [
        status_list([], new_key()),
        DOCUMENTS.sign(status_list_claims(LEAF, [], 7, NOW, 300), "JWT"),
        status_list([], sub=f"{MIDDLE}/federation/licences/status"),
        status_list([], exp=NOW),
        status_list([], iat=NOW + 11),
        status_list([], number="7"),
        status_list([], status_list={"bits": 1, "lst": "eNrbuRgAAhcBXQ"}),
        status_list([], status_list={"bits": 2, "lst": "eNo76f"}),
        status_list([], status_list={"bits": 2, "lst": "****"}),
    ],
)
def test_what_is_no_status_list_of_the_region_is_not_believed(text: str) -> None:
    with pytest.raises(StatementInvalid):
        read_status_list(text, LEAF, DOCUMENTS.jwks, NOW)


def test_a_list_that_unpacks_to_more_than_a_list_has_is_refused() -> None:
    import zlib
    from base64 import urlsafe_b64encode

    bomb = urlsafe_b64encode(zlib.compress(bytes(10 << 20), 9)).rstrip(b"=").decode()
    with pytest.raises(StatementInvalid, match="too long"):
        read_status_list(
            status_list([], status_list={"bits": 2, "lst": bomb}), LEAF, DOCUMENTS.jwks, NOW
        )


def authority(*changes: tuple[str, str, dict[str, object]]) -> list[Change]:
    versions: dict[str, int] = {}
    made: list[Change] = []
    for number, (kind, id_, document) in enumerate(changes, 1):
        versions[id_] = versions.get(id_, 0) + 1
        made.append(Change(number, kind, id_, versions[id_], document, "t", NOW, ""))
    return made


@given(order=st.permutations(["L-1", "L-2", "L-3", "L-4"]), cuts=st.sets(st.integers(1, 11)))
def test_an_index_never_comes_to_mean_another_licence(order: list[str], cuts: set[int]) -> None:
    documents = {
        number: LICENCE_.model_copy(update={"number": number}).as_document() for number in order
    }
    changes = authority(
        (OPERATOR, "alpha", OPERATOR_.as_document()),
        *((LICENCE, number, documents[number]) for number in order),
        *((LICENCE, number, {**documents[number], "revoked_at": NOW}) for number in sorted(order)),
    )
    # However the log is read, in one go or in pieces.
    state, begin = Authority.empty(), 0
    for end in [*sorted(cuts), len(changes)]:
        state = state.advanced(changes[begin:end])
        known = indexes_of(state)
        assert [number for number, _ in sorted(known.items(), key=lambda kept: kept[1])] == order[
            : len(known)
        ]
        begin = max(begin, end)


def test_the_list_tells_of_revoked_licences_and_of_operators_that_may_not_act() -> None:
    def state(revoked: bool, operator: OperatorState.ValueType) -> LicenceStatus:
        licence = {**LICENCE_.as_document(), **({"revoked_at": NOW} if revoked else {})}
        firm = {**OPERATOR_.as_document(), "state": operator}
        known = Authority.empty().advanced(
            authority((OPERATOR, "alpha", firm), (LICENCE, "L-1", licence))
        )
        return statuses_of(known)[0]

    assert state(False, OperatorState.OPERATOR_STATE_ACTIVE) == LicenceStatus.VALID
    assert state(False, OperatorState.OPERATOR_STATE_SUSPENDED) == LicenceStatus.SUSPENDED
    assert state(False, OperatorState.OPERATOR_STATE_REVOKED) == LicenceStatus.INVALID
    assert state(True, OperatorState.OPERATOR_STATE_ACTIVE) == LicenceStatus.INVALID
