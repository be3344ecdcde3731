"""The desk: consents are asked for within limits, granted with a receipt, and ended for good."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from consent.model import GRADE, Actor, Consent, ConsentItem, ConsentTerms
from consent.sql import SqlConsents
from consent.states import EXPIRED, GRANTED, REFUSED, REQUESTED, REVOKED
from consent.subject_keys import SqlSubjectKeys
from creditgate.refusal import Refused, reason_name
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.authority.view import AuthorityView
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.consents.desk import MOST_UNANSWERED, AskedConsent, ConsentDesk
from gateway.consents.message import ConsentMessages
from gateway.consents.receipt import ConsentReceipts
from gateway.oauth.signing import SigningKeys
from operators.model import LICENCE
from sdk.receipts import countersigned
from tests import consenting
from tests.clock import NOW, StandingClock
from tests.consent.store import ConsentStore
from tests.consents.counter import NOTICE, SIGNER, new_subject, set_operator
from tests.consents.receipts import parts
from tests.consents.subjects_own import SubjectsOwn
from tests.installation import PURPOSE, Installation, item
from tests.stores import PostgresStores, SqliteStores

DAY = 86_400
_SUSPENDED = OperatorState.OPERATOR_STATE_SUSPENDED
_REVOKED = OperatorState.OPERATOR_STATE_REVOKED
_numbers = count(1)


class Desk:
    """The desk of one process at a time that stands, for an operator and an item of its own."""

    def __init__(self, installation: Installation) -> None:
        number = next(_numbers)
        assert isinstance(installation.clock, StandingClock)
        self.clock = installation.clock
        self.clock.at = NOW
        self.installation = installation
        self.operator_id, self.item, self.licence = f"op-{number}", f"item-{number}", f"L-{number}"
        installation.keep(CATALOGUE_ITEM, self.item, item(self.item, Openness.OPENNESS_CONSENT))
        installation.license(self.operator_id, self.licence, items=[self.item])
        self.consents = SqlConsents(installation.engines.records)
        self.ended: list[str] = []
        self.keys = installation.home.keys
        self.desk = self.opened(self.ended.append)

    def view(self) -> AuthorityView:
        """Return authority as it is now."""
        return AuthorityView().advanced(self.installation.log.since(0))

    def opened(self, end_grants: Callable[[str], None], keys: Path | None = None) -> ConsentDesk:
        """Return a desk on the store."""
        receipts = ConsentReceipts(
            SigningKeys(keys or self.keys), self.view, "https://gateway.test", self.clock
        )
        return ConsentDesk(self.consents, receipts, self.view, self.clock, end_grants)

    def terms(self, **changed: Any) -> ConsentTerms:
        """Return terms within the licence."""
        return consenting.terms([self.item], **{"purposes": frozenset({PURPOSE}), **changed})

    def asked(self, **changed: Any) -> AskedConsent:
        """Return a request of the operator, changed."""
        usual = AskedConsent(
            operator_id=self.operator_id,
            client_id=f"{self.operator_id}-client",
            subject=new_subject(),
            terms=self.terms(),
            message="",
            language="zh-CN",
            answer_until=None,
            request_id=f"r-{new_subject()}",
            way="inbox",
        )
        return replace(usual, **changed)

    def grant(self, consent: Consent, desk: ConsentDesk | None = None) -> Consent:
        """Grant a consent as its subject."""
        return (desk or self.desk).grant(
            consent.consent_id,
            expected_version=consent.version,
            signer=SIGNER,
            delegation="",
            notice=NOTICE,
        )

    def given(self) -> Consent:
        """Return a consent that was granted."""
        return self.grant(self.desk.ask(self.asked()))

    def revoke(self, consent: Consent, desk: ConsentDesk | None = None) -> Consent:
        """Take a consent back as its subject."""
        return (desk or self.desk).revoke(
            consent.consent_id, actor=Actor.SUBJECT, actor_id=SIGNER, reason=""
        )

    def change_licence(self, **changed: object) -> None:
        """Log the next version of the operator's licence."""
        history = self.installation.log.history(kind=LICENCE, id=self.licence, after=0, limit=9)
        self.installation.put(LICENCE, self.licence, {**history[-1].document, **changed})

    def change_item(self, openness: Openness.ValueType) -> None:
        """Log the next version of the item."""
        self.installation.keep(CATALOGUE_ITEM, self.item, item(self.item, openness))

    def declare(self, *names: str) -> None:
        """Log the next version of the item, with these content fields."""
        made = item(self.item, Openness.OPENNESS_CONSENT)
        field = made.content_fields[0]
        fields = tuple(field.model_copy(update={"name": name}) for name in names)
        changed = made.model_copy(update={"content_fields": fields})
        self.installation.keep(CATALOGUE_ITEM, self.item, changed)

    def change_operator(self, state: OperatorState.ValueType) -> None:
        """Log the next version of the operator."""
        set_operator(self.installation, state, operator_id=self.operator_id)


def reason_of(call: Callable[[], object]) -> str:
    """Return why a call is refused."""
    with pytest.raises(Refused) as refused:
        call()
    return reason_name(refused.value.reason)


@contextmanager
def furnished(stores: SqliteStores | PostgresStores) -> Generator[Installation]:
    """Give an installation at a time that stands."""
    with stores.database() as store:
        installation = Installation(*store, clock=StandingClock())
        yield installation
        installation.close()


@pytest.fixture(scope="module")
def embedded_one(sqlite_stores: SqliteStores) -> Iterator[Installation]:
    """One installation on SQLite for all of these tests."""
    with furnished(sqlite_stores) as installation:
        yield installation


@pytest.fixture(scope="module")
def served_one(postgres_stores: PostgresStores) -> Iterator[Installation]:
    """One installation on PostgreSQL for all of these tests."""
    with furnished(postgres_stores) as installation:
        yield installation


@pytest.fixture(params=["embedded_one", "served_one"])
def desk(request: pytest.FixtureRequest) -> Desk:
    """A desk on each kind of store."""
    return Desk(request.getfixturevalue(request.param))


@pytest.fixture
def lone(embedded_one: Installation) -> Desk:
    """A desk on SQLite, for what does not depend on the kind of store."""
    return Desk(embedded_one)


def test_a_grant_and_its_receipt_are_one_change(desk: Desk) -> None:
    consent = desk.desk.ask(desk.asked(message="为贷款审批核验"))
    granted = desk.grant(consent)
    assert (granted.state, granted.version, granted.granted_at) == (GRANTED, 2, NOW)
    _, claims = parts(granted.receipt)
    assert claims["consent"] == granted.name
    assert (claims["version"], claims["state"]) == (2, "GRANTED")
    assert claims["notice"]["text_digest"] == NOTICE.text_digest
    assert [event["state"] for event in claims["history"]] == ["REQUESTED", "GRANTED"]
    assert desk.consents.get(consent.consent_id) == granted


def test_without_a_receipt_nothing_is_granted(lone: Desk, tmp_path: Path) -> None:
    consent = lone.desk.ask(lone.asked())
    keyless = lone.opened(lone.ended.append, tmp_path)
    assert reason_of(lambda: lone.grant(consent, keyless)) == "TEMPORARILY_UNAVAILABLE"
    assert lone.consents.get(consent.consent_id) == consent


HINDRANCES: dict[str, tuple[str, Callable[[Desk], None]]] = {
    "operator suspended": ("operator", lambda desk: desk.change_operator(_SUSPENDED)),
    "operator revoked": ("operator", lambda desk: desk.change_operator(_REVOKED)),
    "item public by now": ("items", lambda desk: desk.change_item(Openness.OPENNESS_PUBLIC)),
    "item closed by now": ("items", lambda desk: desk.change_item(Openness.OPENNESS_RESTRICTED)),
    "licence revoked": ("licence", lambda desk: desk.change_licence(revoked_at=NOW)),
    "licence over": (
        "licence",
        lambda desk: desk.change_licence(valid_until=NOW, valid_from=NOW - 9),
    ),
    "licence without the item": ("licence", lambda desk: desk.change_licence(items=["other"])),
    "licence without the purpose": ("licence", lambda desk: desk.change_licence(purposes=[7])),
    "licence without the region": ("licence", lambda desk: desk.change_licence(regions=["11"])),
    "answered too late": ("over", lambda desk: setattr(desk.clock, "at", NOW + 8 * DAY)),
}


@pytest.mark.parametrize("case", HINDRANCES)
def test_what_could_not_be_served_now_is_not_granted(lone: Desk, case: str) -> None:
    hindrance, happens = HINDRANCES[case]
    consent = lone.desk.ask(lone.asked())
    assert lone.desk.answerable(consent) is None
    happens(lone)
    assert lone.desk.answerable(consent) == hindrance
    with pytest.raises(Refused) as refused:
        lone.grant(consent)
    assert reason_name(refused.value.reason) == "STATE_CONFLICT"
    assert refused.value.metadata == {"obstacle": hindrance}
    written = lone.consents.get(consent.consent_id)
    assert written is not None
    assert written.state == (EXPIRED if hindrance == "over" else REQUESTED)


def test_licences_do_not_add_up(lone: Desk) -> None:
    lone.change_licence(purposes=[1])
    lone.installation.license(lone.operator_id, f"{lone.licence}-2", items=["other"])
    asked = lone.asked()
    with pytest.raises(Refused) as refused:
        lone.desk.ask(asked)
    assert len(refused.value.violations) == 1
    lone.installation.license(lone.operator_id, f"{lone.licence}-3", items=[lone.item])
    lone.desk.ask(asked)


def test_a_grade_is_asked_for_only_where_there_is_one(lone: Desk) -> None:
    asked = lone.asked(terms=lone.terms(answer_form=GRADE))
    assert reason_of(lambda: lone.desk.ask(asked)) == "INVALID_REQUEST"
    plain = item(lone.item, Openness.OPENNESS_CONSENT)
    (field,) = plain.content_fields
    graded = plain.model_copy(
        update={"content_fields": (field.model_copy(update={"result": True}),)}
    )
    lone.installation.keep(CATALOGUE_ITEM, lone.item, graded)
    lone.grant(lone.desk.ask(asked))


def test_a_consent_names_all_fields_that_were_declared_when_it_was_asked_for(desk: Desk) -> None:
    asked = desk.asked()
    (kept,) = desk.desk.ask(asked).terms.items
    assert (kept.fields, kept.all_declared) == (frozenset({"finding"}), True)
    desk.declare("finding", "motive")
    # The same request, whatever "all" would mean now.
    assert desk.desk.ask(asked).terms.items == (kept,)
    (later,) = desk.desk.ask(desk.asked()).terms.items
    assert later.fields == {"finding", "motive"}
    item_named = ConsentItem(item=desk.item, fields=frozenset({"finding"}))
    named = asked.terms.model_copy(update={"items": (item_named,)})
    assert reason_of(lambda: desk.desk.ask(replace(asked, terms=named))) == "REQUEST_ID_REUSED"


def test_what_is_consented_to_stays_when_the_catalogue_changes(lone: Desk) -> None:
    consent = lone.desk.ask(lone.asked())
    lone.declare("finding", "motive")
    granted = lone.grant(consent)
    assert granted.terms == consent.terms
    _, claims = parts(granted.receipt)
    assert claims["terms"]["items"] == [{"item": lone.item, "fields": ["finding"]}]


def test_a_field_that_is_gone_cannot_be_consented_to(lone: Desk) -> None:
    consent = lone.desk.ask(lone.asked())
    lone.declare("motive")
    assert lone.desk.answerable(consent) == "items"


def test_an_end_that_was_told_stays_when_the_clock_is_set_back(desk: Desk) -> None:
    asked, given = desk.desk.ask(desk.asked()), desk.given()
    messages = ConsentMessages(desk.consents, desk.clock)
    desk.clock.at = NOW + 400 * DAY
    assert desk.desk.answerable(asked) == "over"
    assert messages.of(given).state == EXPIRED
    desk.clock.at = NOW
    for consent in (asked, given):
        written = desk.consents.get(consent.consent_id)
        assert written is not None
        assert written.state == EXPIRED
        assert messages.of(written).state == EXPIRED
        assert desk.desk.answerable(written) == "over"


def test_a_removal_told_too_late_stays_overdue(lone: Desk) -> None:
    consent = lone.given()
    life = consent.terms.data_life_seconds
    ConsentStore(lone.installation.engines.records).use(consent, NOW, new_subject())
    lone.revoke(consent)
    messages, by_then = ConsentMessages(lone.consents, lone.clock), NOW + min(life, DAY)
    overdue: list[bool] = []
    for lone.clock.at in (by_then - 1, by_then):
        overdue.append(messages.of(consent).removal.overdue)
    lone.consents.acknowledge(consent.consent_id, lone.operator_id, by_then, "c", by_then)
    overdue.append(messages.of(consent).removal.overdue)
    assert overdue == [False, True, True]


def test_of_many_answers_at_once_one_counts(desk: Desk) -> None:
    consent = desk.desk.ask(desk.asked())

    def answer(number: int) -> str:
        try:
            if number % 2:
                desk.grant(consent)
            else:
                desk.desk.refuse(
                    consent.consent_id, expected_version=1, signer=SIGNER, delegation=""
                )
        except Refused as refused:
            return reason_name(refused.reason)
        return "answered"

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(answer, range(16)))
    assert answers.count("answered") == 1
    assert set(answers) <= {"answered", "ETAG_MISMATCH", "STATE_CONFLICT"}
    written = desk.consents.get(consent.consent_id)
    assert written is not None
    assert written.state in {GRANTED, REFUSED}
    assert bool(written.receipt) == (written.state == GRANTED)
    assert len(desk.consents.changes(consent_id=consent.consent_id, limit=99)) == 2


def test_of_many_requests_at_once_no_more_than_the_limit_are_kept(desk: Desk) -> None:
    subject = new_subject()
    requests = [desk.asked(subject=subject, request_id=f"at-once-{i}") for i in range(12)]

    def ask(asked: AskedConsent) -> str:
        try:
            return desk.desk.ask(asked).consent_id
        except Refused as refused:
            return reason_name(refused.reason)

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(ask, requests))
    assert answers.count("RATE_EXCEEDED") == 12 - MOST_UNANSWERED
    assert len(desk.consents.listed(subject=subject, limit=99)) == MOST_UNANSWERED


def test_of_retries_at_once_one_consent_is_made(desk: Desk) -> None:
    asked = desk.asked()
    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(desk.desk.ask, [asked] * 12))
    assert len({consent.consent_id for consent in made}) == 1


def test_a_retry_is_answered_when_it_could_not_be_asked_for_any_more(lone: Desk) -> None:
    asked = lone.asked(answer_until=NOW + 60)
    consent = lone.desk.ask(asked)
    lone.clock.at = NOW + DAY
    lone.change_licence(revoked_at=NOW)
    assert lone.desk.ask(asked).consent_id == consent.consent_id


def test_a_retry_is_known_however_much_was_asked_for_since(lone: Desk) -> None:
    subject = new_subject()
    asked = lone.asked(subject=subject, answer_until=NOW + 60)
    consent = lone.desk.ask(asked)
    lone.clock.at = NOW + 1
    for number in range(51):
        lone.desk.ask(lone.asked(subject=subject, way="code", request_id=f"code:{number}"))
    lone.change_licence(revoked_at=NOW)
    assert lone.desk.ask(asked).consent_id == consent.consent_id


def test_room_is_made_by_time(lone: Desk) -> None:
    subject = new_subject()
    for number in range(MOST_UNANSWERED):
        lone.desk.ask(lone.asked(subject=subject, request_id=f"n-{number}"))
    one_more = lone.asked(subject=subject, request_id="one-more")
    assert reason_of(lambda: lone.desk.ask(one_more)) == "RATE_EXCEEDED"
    lone.clock.at = NOW + 8 * DAY
    for consent_id in lone.consents.due(lone.clock.at, 99):
        lone.consents.settle(consent_id, lone.clock.at)
    begun_then = one_more.terms.model_copy(update={"valid_from": lone.clock.at})
    lone.desk.ask(replace(one_more, terms=begun_then))


def test_a_revocation_ends_the_grants_that_rest_on_it(lone: Desk) -> None:
    consent = lone.given()
    assert lone.revoke(consent).state == REVOKED
    assert lone.ended == [consent.name]


def test_a_revocation_cut_off_before_its_grants_is_mended_by_another(lone: Desk) -> None:
    consent = lone.given()

    def cut_off(_: str) -> None:
        raise ConnectionError("the store is gone")

    with pytest.raises(ConnectionError):
        lone.revoke(consent, lone.opened(cut_off))
    written = lone.consents.get(consent.consent_id)
    assert written is not None
    assert written.state == REVOKED
    assert lone.revoke(consent) == written
    assert lone.ended == [consent.name]


@pytest.mark.parametrize("ending", ["refused", "expired"])
def test_what_ended_otherwise_is_not_revoked(lone: Desk, ending: str) -> None:
    consent = lone.desk.ask(lone.asked())
    if ending == "refused":
        lone.desk.refuse(consent.consent_id, expected_version=1, signer=SIGNER, delegation="")
    else:
        lone.clock.at = NOW + 8 * DAY
    assert reason_of(lambda: lone.revoke(consent)) == "STATE_CONFLICT"
    written = lone.consents.get(consent.consent_id)
    assert written is not None
    assert written.state == (REFUSED if ending == "refused" else EXPIRED)
    assert lone.ended == []


def test_a_subject_signs_the_receipt_with_its_own_key(lone: Desk) -> None:
    consent = lone.given()
    own = SubjectsOwn("EdDSA")
    signature = countersigned(consent.receipt, own.key)
    assert (
        reason_of(lambda: lone.desk.countersign(consent.consent_id, signature, SIGNER))
        == "INVALID_REQUEST"
    )
    register(lone, consent.subject, own)
    signed = lone.desk.countersign(consent.consent_id, signature, SIGNER)
    assert signed.subject_signature == signature
    other = lone.given()
    register(lone, other.subject, own)
    assert (
        reason_of(lambda: lone.desk.countersign(other.consent_id, signature, SIGNER))
        == "INVALID_REQUEST"
    )


def test_a_signature_that_stands_is_replaced_by_no_other_key(lone: Desk) -> None:
    consent = lone.given()
    first, second = SubjectsOwn("ES256"), SubjectsOwn("ES256")
    keys = register(lone, consent.subject, first)
    signature = countersigned(consent.receipt, first.key)
    signed = lone.desk.countersign(consent.consent_id, signature, SIGNER)
    keys.remove(consent.subject, first.registered.thumbprint, NOW)
    register(lone, consent.subject, second)
    lone.revoke(consent)
    other = countersigned(consent.receipt, second.key)
    assert (
        reason_of(lambda: lone.desk.countersign(consent.consent_id, other, SIGNER))
        == "STATE_CONFLICT"
    )
    again = lone.desk.countersign(consent.consent_id, signature, SIGNER)
    assert (again.subject_signature, again.subject_key) == (signature, signed.subject_key)
    assert again.version == signed.version + 1


def register(lone: Desk, subject: str, own: SubjectsOwn) -> SqlSubjectKeys:
    """Register a key of a subject."""
    keys = SqlSubjectKeys(lone.installation.engines.records)
    keys.register(subject, own.registered.thumbprint, own.registered.jwk, SIGNER, NOW)
    return keys


def test_without_a_receipt_there_is_nothing_to_sign(lone: Desk) -> None:
    consent = lone.desk.ask(lone.asked())
    assert (
        reason_of(lambda: lone.desk.countersign(consent.consent_id, "a..b", SIGNER))
        == "STATE_CONFLICT"
    )


def test_an_unknown_consent_is_told_from_no_other_fault(lone: Desk) -> None:
    none = "0" * 10 + "-" + "0" * 24
    for call in (
        lambda: lone.revoke(lone.given().model_copy(update={"consent_id": none})),
        lambda: lone.grant(lone.given().model_copy(update={"consent_id": none})),
        lambda: lone.desk.countersign(none, "a..b", SIGNER),
        lambda: lone.desk.refuse(none, expected_version=1, signer="s", delegation=""),
    ):
        assert reason_of(call) == "RESOURCE_NOT_FOUND"
