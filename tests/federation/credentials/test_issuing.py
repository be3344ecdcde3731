"""Credentials are given for a licence in force, and made anew whenever authority changes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authority.restoration import INSTALLATION, RESTORATION, Restoration, number_of
from gateway.authority.view import AuthorityView
from gateway.federation.credentials.credential import MOST_CHARACTERS, read_credential
from gateway.federation.credentials.issuing import LIFE_SECONDS, LicenceCredentials
from gateway.federation.credentials.status_list import (
    LicenceStatus,
    StatusList,
    read_status_list,
)
from gateway.federation.trust.hearing import Hearing
from gateway.oauth.keys import KIND, SigningKey
from gateway.oauth.signing import SigningKeys
from operators.log import Change
from operators.model import LICENCE, OPERATOR
from tests.clock import NOW, StandingClock
from tests.federation.credentials.test_credential import HOLDER, LICENCE_, OPERATOR_
from tests.federation.trust.signing import LEAF


class Issuing:
    """A region that gives credentials, over one state of authority."""

    def __init__(self, folder: Path) -> None:
        self.keys, self.clock = SigningKeys(folder), StandingClock()
        self.view = AuthorityView()
        self.sign_anew()
        self.write(OPERATOR, "alpha", OPERATOR_.as_document())
        self.write(LICENCE, "L-1", LICENCE_.as_document())
        self.credentials = LicenceCredentials(
            LEAF, HOLDER.kid, lambda: self.view, self.keys, self.clock
        )

    def write(self, kind: str, id_: str, document: dict[str, Any]) -> None:
        version = self.view.authority.version_of(kind, id_) + 1
        change = Change(self.view.sequence + 1, kind, id_, version, document, "t", NOW, "")
        self.view = self.view.advanced([change])

    def sign_anew(self) -> None:
        jwk = self.keys.create("ES256")
        key = SigningKey(kid=jwk["kid"], jwk=jwk, active_from=self.clock.at)
        self.write(KIND, key.kid, key.model_dump())

    @property
    def published(self) -> Any:
        return {"keys": list(self.view.signing_keys.values())}

    def refusal(self, operator_id: str = "alpha", licence: str = "L-1") -> str:
        with pytest.raises(Refused) as refused:
            self.credentials.of(operator_id, licence)
        return RefusalReason.Name(refused.value.reason)


@pytest.fixture
def issuing(tmp_path: Path) -> Issuing:
    return Issuing(tmp_path)


INVALID = "REFUSAL_REASON_LICENCE_CREDENTIAL_INVALID"


def test_a_credential_is_kept_until_half_its_life_is_over(issuing: Issuing) -> None:
    first = issuing.credentials.of("alpha", "L-1")
    claims = read_credential(first, LEAF, issuing.published)
    # The licence ends before the credential would.
    assert (claims.iat, claims.exp, claims.cnf.jkt) == (NOW, LICENCE_.valid_until, HOLDER.kid)
    issuing.clock.at = NOW + 49
    assert issuing.credentials.of("alpha", "L-1") == first
    issuing.clock.at = NOW + 50
    assert issuing.credentials.of("alpha", "L-1") != first
    long = LICENCE_.model_copy(update={"valid_until": NOW + 10 * LIFE_SECONDS})
    issuing.write(LICENCE, "L-1", long.as_document())
    again = read_credential(issuing.credentials.of("alpha", "L-1"), LEAF, issuing.published)
    assert again.exp == issuing.clock.at + LIFE_SECONDS


def test_a_licence_that_is_narrowed_and_a_key_that_is_new_are_in_the_next_credential(
    issuing: Issuing,
) -> None:
    issuing.credentials.of("alpha", "L-1")
    narrowed = LICENCE_.model_copy(update={"items": frozenset({"penalty"})})
    issuing.write(LICENCE, "L-1", narrowed.as_document())
    text = issuing.credentials.of("alpha", "L-1")
    assert read_credential(text, LEAF, issuing.published).licence.items == ["penalty"]
    issuing.sign_anew()
    newest = {"keys": issuing.published["keys"][-1:]}
    assert read_credential(issuing.credentials.of("alpha", "L-1"), LEAF, newest)


def test_no_credential_is_given_for_what_is_not_in_force(issuing: Issuing) -> None:
    assert issuing.refusal("beta") == INVALID
    assert issuing.refusal(licence="L-2") == INVALID
    issuing.credentials.of("alpha", "L-1")
    issuing.clock.at = LICENCE_.valid_until
    assert issuing.refusal() == INVALID
    issuing.clock.at = NOW
    for state in (OperatorState.OPERATOR_STATE_SUSPENDED, OperatorState.OPERATOR_STATE_REVOKED):
        issuing.write(OPERATOR, "alpha", {**OPERATOR_.as_document(), "state": state})
        assert issuing.refusal() == INVALID
    issuing.write(OPERATOR, "alpha", OPERATOR_.as_document())
    issuing.write(LICENCE, "L-1", {**LICENCE_.as_document(), "revoked_at": NOW})
    assert issuing.refusal() == INVALID


def test_a_licence_too_large_to_be_shown_is_told_so(issuing: Issuing) -> None:
    items = {f"item.{number:04d}.{'x' * 40}" for number in range(400)}
    large = LICENCE_.model_copy(update={"items": frozenset(items)})
    issuing.write(LICENCE, "L-1", large.as_document())
    assert len(json.dumps(sorted(items))) > MOST_CHARACTERS
    assert issuing.refusal() == INVALID


def test_the_status_list_is_of_the_newest_state_and_numbered_by_it(issuing: Issuing) -> None:
    def listed() -> tuple[int, LicenceStatus]:
        text = issuing.credentials.status_list()
        read = read_status_list(text, LEAF, issuing.published, issuing.clock.at)
        assert read.number == issuing.credentials.number()
        return read.number, read.status(0)

    number, status = listed()
    assert status == LicenceStatus.VALID
    assert issuing.credentials.status_list() == issuing.credentials.status_list()
    issuing.write(LICENCE, "L-1", {**LICENCE_.as_document(), "revoked_at": NOW})
    assert listed() == (number + 1, LicenceStatus.INVALID)


@given(
    lost=st.integers(min_value=0, max_value=1_000_000),
    kept=st.integers(min_value=0, max_value=1_000_000),
    before=st.integers(min_value=0, max_value=NOW),
    later=st.integers(min_value=1, max_value=1 << 32),
)
def test_what_is_told_after_a_restoration_is_numbered_above_all_that_was_told_before(
    lost: int, kept: int, before: int, later: int
) -> None:
    former = number_of(kept + lost, before)
    assert former < number_of(kept, before + later) < 1 << 53
    assert number_of(kept, before) < number_of(kept + 1, before)
    assert number_of(kept, 0) == kept


async def test_a_region_that_was_restored_is_heard_at_once_by_who_heard_more(
    issuing: Issuing,
) -> None:
    def told() -> StatusList:
        text = issuing.credentials.status_list()
        return read_status_list(text, LEAF, issuing.published, issuing.clock.at)

    hearing = Hearing[StatusList]("test", tuple, lease_seconds=10.0, clock=issuing.clock)
    copy = issuing.view
    for _ in range(5):
        issuing.write(LICENCE, "L-1", LICENCE_.as_document())
    hearing.take(told(), 0.0)
    # The store is as it was in the copy, and knows that it was restored.
    issuing.view = copy
    with pytest.raises(ValueError, match="older"):
        hearing.take(told(), 0.0)
    restored = Restoration(restored_at=issuing.clock.at)
    issuing.write(RESTORATION, INSTALLATION, restored.as_document())
    hearing.take(told(), 0.0)
    heard = hearing.newest
    assert heard is not None
    assert heard.number == issuing.credentials.number() == issuing.view.number
    issuing.write(LICENCE, "L-1", {**LICENCE_.as_document(), "revoked_at": NOW})
    hearing.take(told(), 0.0)
    assert hearing.newest is not heard
