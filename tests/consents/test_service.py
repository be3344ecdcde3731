"""ConsentService over gRPC: operators ask, see what is theirs, and give it up."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import update

from consent.delegation import Delegation, Power
from consent.delegations_sql import SqlDelegations
from consent.model import DAY_SECONDS, MOST_BACKDATED_SECONDS
from consent.subject_keys import SqlSubjectKeys
from consent.tables import CONSENT
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.audit_service_pb2 import TraceConsentRequest, TraceConsentResponse
from creditgate.v1.vocabulary_pb2 import Interval, Purpose
from gateway.consents.desk import MOST_A_DAY, MOST_UNANSWERED
from sdk.receipts import countersigned, verified_countersignature
from tests.consents.counter import (
    NOTICE,
    SIGNER,
    Counter,
    fields_of,
    id_of,
    new_subject,
    refusal_of,
)
from tests.consents.subjects_own import SubjectsOwn
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PUBLIC_ITEM,
    PUBLISHER,
    RESTRICTED_ITEM,
)
from tests.server.calls import draft, publish

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]


def asking(counter: Counter, **changed: Any) -> pb.RequestConsentRequest:
    """Return a request, changed."""
    usual: dict[str, Any] = {
        "subject": new_subject(),
        "terms": counter.terms(),
        "request_id": uuid4().hex,
    }
    return pb.RequestConsentRequest(**usual | changed)


@always_on_postgresql
async def test_a_consent_asked_for_waits_for_the_subject_with_the_very_terms(
    counter: Counter,
) -> None:
    request = asking(counter, message="为贷款审批核验", language="en")
    answer: pb.RequestConsentResponse = await counter.operator.RequestConsent(request)
    consent = answer.consent
    assert consent.state == pb.CONSENT_STATE_REQUESTED
    # Save that all fields are named.
    request.terms.items[0].fields.append("finding")
    assert (consent.subject, consent.terms, consent.message) == (
        request.subject,
        request.terms,
        request.message,
    )
    assert (consent.operator_id, consent.client_id) == (OPERATOR_ID, OPERATOR_CLIENT)
    assert consent.answer_until.seconds == consent.create_time.seconds + 7 * DAY_SECONDS
    assert [event.state for event in consent.history] == [pb.CONSENT_STATE_REQUESTED]
    assert not consent.receipt
    assert not consent.representative
    assert answer.answer_uri.endswith(f"/my/{consent.name}")
    assert await counter.read(consent.name) == consent


async def test_whether_anybody_answers_for_a_subject_makes_no_difference(
    counter: Counter,
) -> None:
    """G11: neither a company of the register nor one nobody ever published is told apart."""
    known = new_subject()
    async with counter.gateway.channel(PUBLISHER) as publisher:
        await publish(publisher, [draft(f"known-{known}", known)])
    terms = counter.terms()
    asked = [await counter.ask(subject, terms) for subject in (known, new_subject())]
    for consent in asked:
        for own in ("name", "subject", "create_time", "answer_until", "history"):
            consent.ClearField(own)
    assert asked[0] == asked[1]


async def test_a_retry_is_given_the_consent_it_asked_for_before(counter: Counter) -> None:
    request = asking(counter)
    first = await counter.operator.RequestConsent(request)
    counter.grant(first.consent)
    again = await counter.operator.RequestConsent(request)
    assert again.consent.name == first.consent.name
    assert again.consent.state == pb.CONSENT_STATE_GRANTED
    request.message = "another"
    refusal = await refusal_of(counter.operator.RequestConsent(request))
    assert (refusal.status, refusal.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def test_a_retry_is_no_further_request_to_answer(counter: Counter) -> None:
    subject = new_subject()
    requests = [asking(counter, subject=subject) for _ in range(MOST_UNANSWERED)]
    names = [(await counter.operator.RequestConsent(each)).consent.name for each in requests]
    again = [(await counter.operator.RequestConsent(each)).consent.name for each in requests]
    assert again == names


Change = Callable[[pb.RequestConsentRequest], object]


def _interval(**ends: int) -> Interval:
    return Interval(**{f"{end}_time": Timestamp(seconds=at) for end, at in ends.items()})


def _begins(request: pb.RequestConsentRequest, before: int) -> None:
    """Let a validity begin so many seconds earlier than it would."""
    request.terms.validity.start_time.seconds -= before


MALFORMED: dict[str, tuple[Change, set[str]]] = {
    "mistyped subject": (
        lambda r: setattr(r, "subject", r.subject[:-1] + "?"),
        {"subject"},
    ),
    "no terms": (
        lambda r: r.ClearField("terms"),
        {
            "terms.items",
            "terms.purposes",
            "terms.answer_form",
            "terms.access_mode",
            "terms.validity.start_time",
            "terms.validity.end_time",
            "terms.data_life",
            "terms.data_life_end",
            "terms.regions",
        },
    ),
    "an item twice": (
        lambda r: r.terms.items.append(r.terms.items[0]),
        {"terms"},
    ),
    "a field twice": (
        lambda r: r.terms.items[0].fields.extend(["finding", "finding"]),
        {"terms.items[0].fields"},
    ),
    "65 items": (
        lambda r: r.terms.items.extend(pb.ConsentItem(item=f"item-{i}") for i in range(64)),
        {"terms.items"},
    ),
    "a hundred thousand regions": (
        lambda r: r.terms.regions.extend(["north"] * 100_000),
        {"terms.regions"},
    ),
    "201 fields": (
        lambda r: r.terms.items[0].fields.extend(f"f{i}" for i in range(201)),
        {"terms.items[0].fields"},
    ),
    "no end": (
        lambda r: r.terms.validity.ClearField("end_time"),
        {"terms.validity.end_time"},
    ),
    "over before it begins": (
        lambda r: r.terms.validity.end_time.CopyFrom(r.terms.validity.start_time),
        {"terms.validity"},
    ),
    "over already": (
        lambda r: r.terms.validity.CopyFrom(_interval(start=1, end=2)),
        {"terms.validity.start_time", "terms.validity.end_time"},
    ),
    "begins in two years": (
        lambda r: r.terms.validity.CopyFrom(
            _interval(
                start=r.terms.validity.start_time.seconds + 2 * 366 * DAY_SECONDS,
                end=r.terms.validity.start_time.seconds + 3 * 366 * DAY_SECONDS,
            )
        ),
        {"terms.validity.start_time"},
    ),
    "begun long ago": (
        lambda r: _begins(r, 700 * DAY_SECONDS),
        {"terms.validity.start_time"},
    ),
    "begun before what clocks differ by": (
        lambda r: _begins(r, MOST_BACKDATED_SECONDS + 60),
        {"terms.validity.start_time"},
    ),
    "four years": (
        lambda r: r.terms.validity.CopyFrom(
            _interval(
                start=r.terms.validity.start_time.seconds,
                end=r.terms.validity.start_time.seconds + 4 * 366 * DAY_SECONDS,
            )
        ),
        {"terms"},
    ),
    "a fraction of a second": (
        lambda r: setattr(r.terms.data_life, "nanos", 1),
        {"terms.data_life"},
    ),
    "kept for less than an hour": (
        lambda r: r.terms.data_life.CopyFrom(Duration(seconds=3_599)),
        {"terms.data_life"},
    ),
    "kept for ever": (
        lambda r: r.terms.data_life.CopyFrom(Duration(seconds=6 * 366 * DAY_SECONDS)),
        {"terms.data_life"},
    ),
    "times without their mode": (
        lambda r: setattr(r.terms, "times_per_day", 3),
        {"terms"},
    ),
    "negative times": (
        lambda r: setattr(r.terms, "times_per_day", -1),
        {"terms.times_per_day"},
    ),
    "an enum's stranger": (
        lambda r: setattr(r.terms, "access_mode", 77),
        {"terms.access_mode"},
    ),
    "a region that is none": (
        lambda r: r.terms.regions.append("north"),
        {"terms.regions[1]"},
    ),
    "a message of several lines": (
        lambda r: setattr(r, "message", "first\nsecond"),
        {"message"},
    ),
    "a message too long": (
        lambda r: setattr(r, "message", "x" * 501),
        {"message"},
    ),
    "no language": (
        lambda r: setattr(r, "language", "<script>"),
        {"language"},
    ),
    "answered yesterday": (
        lambda r: r.answer_until.CopyFrom(Timestamp(seconds=1)),
        {"answer_until"},
    ),
    "answered in a year": (
        lambda r: r.answer_until.CopyFrom(
            Timestamp(seconds=r.terms.validity.start_time.seconds + 366 * DAY_SECONDS)
        ),
        {"answer_until"},
    ),
    "no request id": (
        lambda r: r.ClearField("request_id"),
        {"request_id"},
    ),
    "a request id of the other way": (
        lambda r: setattr(r, "request_id", "code:abc"),
        {"request_id"},
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_a_malformed_request_is_refused_by_field(counter: Counter, case: str) -> None:
    change, fields = MALFORMED[case]
    request = asking(counter)
    change(request)
    refusal = await refusal_of(counter.operator.RequestConsent(request))
    assert (refusal.status, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert fields_of(refusal) == fields
    # A library's words about its types help nobody mend a request.
    assert not re.search("(?i)tuple|frozenset|input should|validation", refusal.message)


@pytest.mark.parametrize(
    ("case", "mend"),
    [
        ("no terms", "terms.purposes: name at least 1"),
        ("negative times", "terms.times_per_day: use 0 or more"),
        ("kept for ever", "terms.data_life: let copies be kept for an hour at least and five"),
        ("a message too long", "message: use at most 500 characters"),
    ],
)
async def test_what_is_wrong_is_told_with_how_to_mend_it(
    counter: Counter, case: str, mend: str
) -> None:
    request = asking(counter)
    MALFORMED[case][0](request)
    assert mend in (await refusal_of(counter.operator.RequestConsent(request))).message


async def test_clocks_may_differ_by_a_little_where_a_validity_begins(counter: Counter) -> None:
    request = asking(counter)
    _begins(request, MOST_BACKDATED_SECONDS - 60)
    answer: pb.RequestConsentResponse = await counter.operator.RequestConsent(request)
    assert answer.consent.terms.validity == request.terms.validity


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({"items": [pb.ConsentItem(item=PUBLIC_ITEM)]}, {"terms.items[0].item"}),
        ({"items": [pb.ConsentItem(item=RESTRICTED_ITEM)]}, {"terms.items[0].item"}),
        ({"items": [pb.ConsentItem(item="unheard-of")]}, {"terms.items[0].item"}),
        (
            {"items": [pb.ConsentItem(item=CONSENT_ITEM, fields=["finding", "motive"])]},
            {"terms.items[0].fields"},
        ),
        ({"answer_form": pb.CONSENT_ANSWER_FORM_GRADE}, {"terms.items[0].item"}),
        (
            {
                "answer_form": pb.CONSENT_ANSWER_FORM_GRADE,
                "items": [pb.ConsentItem(item=CONSENT_ITEM, fields=["finding"])],
            },
            {"terms.items[0].fields"},
        ),
        ({"purposes": [Purpose.PURPOSE_RESEARCH]}, {"terms.purposes"}),
    ],
    ids=[
        "public item",
        "restricted item",
        "no item",
        "no field",
        "no result",
        "grade and fields",
        "purpose",
    ],
)
async def test_nothing_is_asked_for_that_could_not_be_served(
    counter: Counter, changed: dict[str, Any], fields: set[str]
) -> None:
    refusal = await refusal_of(counter.ask(asked=counter.terms(**changed)))
    assert refusal.reason == "INVALID_REQUEST"
    assert fields <= fields_of(refusal)


async def test_a_subject_is_left_with_few_requests_of_one_operator(counter: Counter) -> None:
    subject = new_subject()
    asked = [await counter.ask(subject) for _ in range(MOST_UNANSWERED)]
    refusal = await refusal_of(counter.ask(subject))
    assert (refusal.status, refusal.reason) == ("RESOURCE_EXHAUSTED", "RATE_EXCEEDED")
    assert refusal.retry_after
    await counter.ask(new_subject())
    await counter.ask(subject, by=counter.rival)
    counter.grant(asked[0])
    await counter.ask(subject)


@pytest.mark.parametrize("beginning", ["CODE:", "Part:"])
async def test_what_a_request_id_begins_with_makes_no_room(
    counter: Counter, beginning: str
) -> None:
    subject = new_subject()
    for _ in range(MOST_UNANSWERED):
        await counter.ask(subject, request_id=beginning + uuid4().hex)
    assert (await refusal_of(counter.ask(subject))).reason == "RATE_EXCEEDED"


async def test_a_subject_is_not_asked_all_day(counter: Counter) -> None:
    subject = new_subject()
    for _ in range(MOST_A_DAY):
        consent = await counter.ask(subject)
        counter.desk.refuse(id_of(consent.name), expected_version=1, signer="s", delegation="")
    refusal = await refusal_of(counter.ask(subject))
    assert refusal.reason == "RATE_EXCEEDED"
    assert refusal.retry_after


@always_on_postgresql
async def test_an_operator_is_not_told_who_refused(counter: Counter) -> None:
    """They learn that it was declined, and when: nothing else is new."""
    consent = await counter.ask()
    delegations = SqlDelegations(counter.installation.engines.records)
    made = Delegation(
        delegation_id=uuid4().hex,
        subject=consent.subject,
        appointed_by="representative:" + "8" * 32,
        label="x",
        powers=frozenset({Power.ANSWER}),
        valid_from=counter.now - 1,
        valid_until=counter.now + DAY_SECONDS,
    )
    delegations.invite(made, made.delegation_id.encode())
    delegations.accept(made.delegation_id.encode(), SIGNER, counter.now)
    counter.desk.refuse(
        id_of(consent.name), expected_version=1, signer=SIGNER, delegation=made.delegation_id
    )
    told = await counter.read(consent.name)
    (asked, declined) = told.history
    assert [asked] == list(consent.history)
    assert declined.state == told.state == pb.CONSENT_STATE_REFUSED
    assert (declined.actor, declined.reason) == (pb.CONSENT_ACTOR_SUBJECT, "")
    for changed in ("state", "history", "etag"):
        told.ClearField(changed)
        consent.ClearField(changed)
    assert told == consent
    (listed,) = (
        await counter.operator.ListConsents(pb.ListConsentsRequest(subject=consent.subject))
    ).consents
    assert not listed.representative
    assert not listed.delegation
    whole: TraceConsentResponse = await counter.audit.TraceConsent(
        TraceConsentRequest(consent=consent.name)
    )
    assert whole.consent.representative == "representatives/" + "7" * 32
    assert whole.consent.delegation == made.name


async def test_a_countersigned_consent_comes_with_the_key_that_checks_it(
    counter: Counter,
) -> None:
    consent = await counter.given()
    own = SubjectsOwn("ES256")
    signature = countersigned(consent.receipt, own.key)
    SqlSubjectKeys(counter.installation.engines.records).register(
        consent.subject, own.registered.thumbprint, own.registered.jwk, "signer", counter.now
    )
    counter.desk.countersign(id_of(consent.name), signature, "signer")
    told = await counter.read(consent.name)
    assert told.etag != consent.etag
    assert (told.history[-1].actor, told.history[-1].reason) == (
        pb.CONSENT_ACTOR_SUBJECT,
        "countersigned",
    )
    assert (
        verified_countersignature(told.receipt, told.subject_signature, told.subject_key)
        == own.registered.thumbprint
    )


@always_on_postgresql
async def test_a_consent_that_cannot_be_read_is_left_out_of_listings(counter: Counter) -> None:
    subject = new_subject()
    asked = [await counter.ask(subject) for _ in range(4)]
    with counter.installation.engines.records.begin() as connection:
        connection.execute(
            update(CONSENT)
            .where(CONSENT.c.consent_id.in_([id_of(asked[0].name), id_of(asked[2].name)]))
            .values(document='{"of_a_later_version": true}')
        )
    names: list[str] = []
    token = ""
    while True:
        page = await counter.operator.ListConsents(
            pb.ListConsentsRequest(subject=subject, page_size=1, page_token=token)
        )
        names += (each.name for each in page.consents)
        token = page.next_page_token
        if not token:
            break
    assert names == sorted((asked[1].name, asked[3].name), reverse=True)


async def test_a_granted_consent_shows_who_signed_what_and_its_receipt(counter: Counter) -> None:
    consent = await counter.given()
    assert consent.state == pb.CONSENT_STATE_GRANTED
    assert consent.representative == "representatives/" + "7" * 32
    assert not consent.delegation
    assert consent.notice.policy_version == NOTICE.policy_version
    assert consent.notice.text_digest.hex() == NOTICE.text_digest
    assert consent.notice.text == NOTICE.text
    (listed,) = (
        await counter.operator.ListConsents(pb.ListConsentsRequest(subject=consent.subject))
    ).consents
    assert not listed.notice.text
    assert [event.actor for event in consent.history] == [
        pb.CONSENT_ACTOR_OPERATOR,
        pb.CONSENT_ACTOR_SUBJECT,
    ]
    assert consent.receipt.count(".") == 2
    assert consent.answered_requests == 0
    assert not consent.HasField("removal")


async def test_what_others_were_given_is_as_unknown_as_what_nobody_was(
    counter: Counter,
) -> None:
    """G11: each method answers alike for another's consent and for none."""
    mine = await counter.given()
    none = "consents/" + "0" * 10 + "-" + "0" * 24
    calls: dict[str, Callable[[str], Any]] = {
        "get": lambda name: counter.rival.GetConsent(pb.GetConsentRequest(name=name)),
        "revoke": lambda name: counter.rival.RevokeConsent(pb.RevokeConsentRequest(name=name)),
        "accesses": lambda name: counter.rival.ListAccesses(pb.ListAccessesRequest(consent=name)),
    }
    for call in calls.values():
        others, nobodys = await refusal_of(call(mine.name)), await refusal_of(call(none))
        assert others.reason == "RESOURCE_NOT_FOUND"
        assert (others.status, others.message) == (nobodys.status, nobodys.message)
    assert (await counter.read(mine.name)).state == pb.CONSENT_STATE_GRANTED


async def test_listings_show_the_operators_own_newest_first_page_by_page(
    counter: Counter,
) -> None:
    subject = new_subject()
    asked = [(await counter.ask(subject)).name for _ in range(4)]
    await counter.ask(subject, by=counter.rival)
    listed: list[str] = []
    token = ""
    while True:
        page: pb.ListConsentsResponse = await counter.operator.ListConsents(
            pb.ListConsentsRequest(subject=subject, page_size=3, page_token=token)
        )
        listed += (consent.name for consent in page.consents)
        token = page.next_page_token
        if not token:
            break
    assert listed == sorted(asked, reverse=True)


@always_on_postgresql
async def test_listings_narrow_to_a_state_as_it_is_now(counter: Counter) -> None:
    subject = new_subject()
    granted, refused, waiting = [await counter.ask(subject) for _ in range(3)]
    counter.grant(granted)
    counter.desk.refuse(id_of(refused.name), expected_version=1, signer="s", delegation="")
    found = {
        state: [
            consent.name
            for consent in (
                await counter.operator.ListConsents(
                    pb.ListConsentsRequest(subject=subject, state=state)
                )
            ).consents
        ]
        for state in (
            pb.CONSENT_STATE_GRANTED,
            pb.CONSENT_STATE_REFUSED,
            pb.CONSENT_STATE_REQUESTED,
            pb.CONSENT_STATE_PAUSED,
        )
    }
    assert list(found.values()) == [[granted.name], [refused.name], [waiting.name], []]


async def test_a_listing_is_refused_what_does_not_fit_it(counter: Counter) -> None:
    await counter.ask(subject := new_subject())
    await counter.ask(subject)
    page = await counter.operator.ListConsents(pb.ListConsentsRequest(subject=subject, page_size=1))
    for request, field in (
        (pb.ListConsentsRequest(page_token=page.next_page_token), "page_token"),
        (pb.ListConsentsRequest(page_token="x"), "page_token"),
        (pb.ListConsentsRequest(page_size=201), "page_size"),
        (pb.ListConsentsRequest(subject="1"), "subject"),
        (pb.ListConsentsRequest(state=77), "state"),  # type: ignore[arg-type]
    ):
        refusal = await refusal_of(counter.operator.ListConsents(request))
        assert fields_of(refusal) == {field}
    others = await refusal_of(
        counter.operator.ListConsents(pb.ListConsentsRequest(operator_id="beta"))
    )
    assert others.reason == "SCOPE_NOT_GRANTED"


@always_on_postgresql
async def test_a_consent_given_up_serves_no_more_and_says_until_when_copies_may_stay(
    counter: Counter,
) -> None:
    consent = await counter.given(await counter.published())
    await counter.use(consent)
    answer: pb.RevokeConsentResponse = await counter.operator.RevokeConsent(
        pb.RevokeConsentRequest(name=consent.name, etag=consent.etag, reason="客户撤回申请")
    )
    revoked = answer.consent
    assert revoked.state == pb.CONSENT_STATE_REVOKED
    assert revoked.history[-1].actor == pb.CONSENT_ACTOR_OPERATOR
    assert revoked.history[-1].reason == "客户撤回申请"
    ended = revoked.history[-1].event_time.seconds
    assert revoked.data_life_until.seconds == ended + DAY_SECONDS
    assert revoked.removal.deadline == revoked.data_life_until
    assert not revoked.removal.overdue
    refusal = await refusal_of(counter.use(consent))
    assert (refusal.status, refusal.reason) == ("PERMISSION_DENIED", "CONSENT_REVOKED")


@always_on_postgresql
async def test_giving_up_never_fails_for_a_race_and_twice_is_once(counter: Counter) -> None:
    consent = await counter.ask()
    stale = consent.etag
    counter.grant(consent)
    refusal = await refusal_of(
        counter.operator.RevokeConsent(pb.RevokeConsentRequest(name=consent.name, etag=stale))
    )
    assert (refusal.status, refusal.reason) == ("ABORTED", "ETAG_MISMATCH")
    for _ in range(2):
        answer = await counter.operator.RevokeConsent(pb.RevokeConsentRequest(name=consent.name))
        assert answer.consent.state == pb.CONSENT_STATE_REVOKED
        assert len(answer.consent.history) == 3
        assert not answer.consent.HasField("data_life_until")


async def test_what_ended_otherwise_is_not_given_up(counter: Counter) -> None:
    consent = await counter.ask()
    counter.desk.refuse(id_of(consent.name), expected_version=1, signer="s", delegation="")
    refusal = await refusal_of(
        counter.operator.RevokeConsent(pb.RevokeConsentRequest(name=consent.name))
    )
    assert (refusal.status, refusal.reason) == ("FAILED_PRECONDITION", "STATE_CONFLICT")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.RevokeConsentRequest(name="consents/"), "name"),
        (pb.RevokeConsentRequest(name="consents/1", reason="x" * 501), "reason"),
        (pb.RevokeConsentRequest(name="consents/1", reason="a\0b"), "reason"),
        (pb.RevokeConsentRequest(name="consents/1", etag="0x1"), "etag"),
    ],
)
async def test_a_malformed_revocation_is_refused_by_field(
    counter: Counter, request_: pb.RevokeConsentRequest, field: str
) -> None:
    refusal = await refusal_of(counter.operator.RevokeConsent(request_))
    assert fields_of(refusal) == {field}
