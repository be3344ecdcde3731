"""Issuing reports on a real gateway: authority, completeness, metering."""

import json
from collections.abc import Callable
from hashlib import sha256

import pytest

from creditgate.credit_report import (
    REPORT_TYPE,
    CreditReport,
    ReportRecord,
    proof_of,
    proof_text,
)
from creditgate.credit_report_proof import verify_report
from creditgate.transparency.facts import protected_value, set_digest
from creditgate.transparency.members import protected_member
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1 import report_service_pb2 as pb
from gateway.authority.view import AuthorityView
from gateway.cli.content import canonical_json
from gateway.oauth.signing import SigningKeys
from gateway.reports.pdf import pdf_of
from sdk.reports import verified_report
from tests.installation import PRICE, PUBLISHER, company
from tests.meter.world import stored
from tests.people import COMPANY
from tests.reports.asking import CURRENT, Reporter, refused, stated
from tests.reports.conftest import Site
from tests.reports.printed import text_of_pdf
from tests.server.calls import publish
from tests.subject.world import CREDIT_APPROVAL, DAY, INSURANCE, PENALTY, TAX, penalty

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIST = "list.serious-dishonesty"
FAR_FUTURE = 4_000_000_000
Forgery = Callable[[CreditReport], CreditReport]


async def test_a_report_states_the_records_and_their_absence_and_proves_both(
    reporter: Reporter,
) -> None:
    answer = await reporter.issue(LIST, PENALTY, recipient="示例采购中心（虚构）")

    report = stated(answer.report)
    assert answer.report.state == CURRENT
    assert [(each.item, each.records) for each in report.items] == [(LIST, 0), (PENALTY, 1)]
    (record,) = report.records
    assert json.loads(record.content)["penalty_kind"] == "罚款"
    assert sha256(record.content.encode()).hexdigest() == record.content_digest
    assert report.recipient == "示例采购中心（虚构）"
    assert report.requester.operator_id == "alpha"
    assert report.exp - report.iat == 30 * DAY
    verify_report(report, reporter.log)
    assert answer.report.pdf.startswith(b"%PDF-")


async def test_a_report_is_verified_offline_with_the_keys_that_are_published(
    reporter: Reporter,
) -> None:
    document = (await reporter.issue()).report.document
    issuer = reporter.world.gateway.running.issuer
    keys = (await reporter.world.browser.http.get(f"{issuer}/consent/receipt-keys.json")).json()

    found = verified_report(document, keys, issuer, reporter.log)

    assert found.report.subject == COMPANY
    assert found.proved.head.checkpoint.origin == reporter.origin
    assert found.holds_at(found.report.iat)
    assert not found.holds_at(found.report.exp)


async def test_a_report_is_metered_once_like_any_use_and_a_retry_gives_the_same_one(
    reporter: Reporter,
) -> None:
    request = reporter.request(LIST, PENALTY)

    first = await reporter.stub.IssueCreditReport(request)
    again = await reporter.stub.IssueCreditReport(request)

    assert (first.charged_entries, first.charged_micro_yuan) == (1, PRICE)
    assert (again.charged_entries, again.charged_micro_yuan) == (0, 0)
    assert again.report == first.report
    records = await records_grpc.CreditRecordServiceStub(reporter.channel).GetSubjectRecords(
        records_pb.GetSubjectRecordsRequest(
            subject=COMPANY,
            items=[LIST, PENALTY],
            purpose=CREDIT_APPROVAL,
            request_id=request.request_id,
        )
    )
    assert records.receipt.replayed
    assert records.receipt.decision_id == stated(first.report).decision_id


async def test_a_request_id_makes_one_report_and_no_other(reporter: Reporter) -> None:
    request = reporter.request()
    await reporter.stub.IssueCreditReport(request)
    request.recipient = "somebody else"

    assert await refused(reporter.stub.IssueCreditReport(request)) == "REQUEST_ID_REUSED"


async def test_what_takes_consent_is_stated_under_a_consent_alone_and_no_longer_than_it_lets(
    reporter: Reporter,
) -> None:
    assert await refused(reporter.issue(TAX)) == "CONSENT_REQUIRED"
    world = reporter.world
    terms = world.terms(data_life_seconds=3 * DAY)
    consent = world.given(terms)
    assert await refused(reporter.issue(INSURANCE, consent=consent)) == "CONSENT_EXCEEDED"

    report = stated((await reporter.issue(TAX, PENALTY, consent=consent)).report)

    assert [(each.openness, each.records) for each in report.items] == [
        ("CONSENT", 2),
        ("PUBLIC", 1),
    ]
    assert report.consent == consent.name
    assert report.exp == report.served_at + 3 * DAY
    verify_report(report, reporter.log)


async def test_a_report_of_public_items_does_not_rest_on_a_consent_that_is_named(
    reporter: Reporter,
) -> None:
    consent = reporter.world.given()

    report = stated((await reporter.issue(PENALTY, consent=consent)).report)

    assert report.consent == ""
    assert report.exp - report.iat == 30 * DAY


@pytest.mark.parametrize("consented", [False, True])
async def test_a_period_leaves_records_out_and_the_report_proves_that_it_may(
    reporter: Reporter, consented: bool
) -> None:
    now = reporter.world.now
    past = pb.IssueCreditReportRequest().period
    past.end_time.seconds = now - 2 * DAY
    fields = {"consent": reporter.world.given()} if consented else {}
    item = TAX if consented else PENALTY

    narrow = stated((await reporter.issue(item, period=past, **fields)).report)

    assert narrow.records == ()
    assert narrow.outside_period == (2 if consented else 1)
    assert narrow.items[0].records == 0
    verify_report(narrow, reporter.log)
    # The same statement for all time would be false, and is found to be.
    wide = narrow.model_copy(update={"period": stated((await reporter.issue()).report).period})
    with pytest.raises(ProofInvalid, match="left out"):
        verify_report(wide, reporter.log)


async def test_a_report_cut_to_the_fields_consented_to_is_proved_and_narrowed_too(
    reporter: Reporter,
) -> None:
    from consent.model import ConsentItem

    world = reporter.world
    some = ConsentItem(item=TAX, fields=frozenset({"tax_year", "tax_credit_grade"}))
    consent = world.given(world.terms((some,)))
    past = pb.IssueCreditReportRequest().period
    past.end_time.seconds = world.now - 2 * DAY

    whole = stated((await reporter.issue(TAX, consent=consent)).report)
    narrow = stated((await reporter.issue(TAX, consent=consent, period=past)).report)

    assert set(json.loads(whole.records[0].content)) == {"tax_year", "tax_credit_grade"}
    verify_report(whole, reporter.log)
    assert (len(narrow.records), narrow.outside_period) == (0, 2)
    verify_report(narrow, reporter.log)


def _without_records(report: CreditReport) -> CreditReport:
    items = tuple(each.model_copy(update={"records": 0}) for each in report.items)
    return report.model_copy(update={"records": (), "items": items})


def _gentler(report: CreditReport) -> CreditReport:
    return _with_record(report, severity="MINOR")


def _shorter(report: CreditReport) -> CreditReport:
    return _with_record(report, disclosed_until=report.records[0].disclosed_from + 1)


def _other_content(report: CreditReport) -> CreditReport:
    content = report.records[0].content.replace("罚款", "警告")
    digest = sha256(content.encode()).hexdigest()
    return _with_record(report, content=content, content_digest=digest)


def _about_fewer_items(report: CreditReport) -> CreditReport:
    return report.model_copy(update={"items": report.items[:1]})


def _saying(**changes: object) -> Forgery:
    def forged(report: CreditReport) -> CreditReport:
        return report.model_copy(update=changes)

    return forged


def _issued_later(report: CreditReport) -> CreditReport:
    # What is disclosed since is left out, by the proof of a day before.
    moved = {"iat": report.iat + DAY, "exp": report.iat + 20 * DAY}
    return report.model_copy(update=moved)


def _issued_before(report: CreditReport) -> CreditReport:
    return report.model_copy(update={"iat": report.served_at - 1})


def _valid_for_longer(report: CreditReport) -> CreditReport:
    return report.model_copy(update={"exp": report.exp + 1})


def _with_record(report: CreditReport, **changes: object) -> CreditReport:
    changed: ReportRecord = report.records[0].model_copy(update=changes)
    return report.model_copy(update={"records": (changed, *report.records[1:])})


@pytest.mark.parametrize(
    "forge",
    [
        _without_records,
        _gentler,
        _shorter,
        _other_content,
        _about_fewer_items,
        _saying(subject=company(2)),
        _saying(served_at=1),
        _saying(served_at=FAR_FUTURE),
        _saying(disclosure_sequence=10_000),
        _saying(exp=FAR_FUTURE),
        _saying(withheld=1),
        _saying(outside_period=1),
        _issued_later,
        _issued_before,
        _valid_for_longer,
    ],
)
async def test_a_report_that_says_anything_else_than_the_disclosure_is_found_out(
    reporter: Reporter, forge: Forgery
) -> None:
    report = stated((await reporter.issue(LIST, PENALTY)).report)
    verify_report(report, reporter.log)

    with pytest.raises(ProofInvalid):
        verify_report(forge(report), reporter.log)


async def test_a_report_with_protected_records_says_nothing_of_another_company(
    reporter: Reporter,
) -> None:
    report = stated((await reporter.issue(TAX, consent=reporter.world.given())).report)
    verify_report(report, reporter.log)

    victim, proof = company(78), proof_of(report.proof)
    proof.subjects[0].subject = victim
    forged = report.model_copy(update={"subject": victim, "proof": proof_text(proof)})

    with pytest.raises(ProofInvalid, match="whole set of a protected item"):
        verify_report(forged, reporter.log)


async def test_a_report_that_denies_protected_records_has_nothing_but_the_signers_word(
    reporter: Reporter,
) -> None:
    """Whoever has the key of reports can show a place where nothing is for that of the leaf."""
    world = reporter.world
    report = stated((await reporter.issue(TAX, PENALTY, consent=world.given())).report)
    proof = proof_of(report.proof)
    (own,) = proof.subjects[0].protected_sets
    records = [each.as_record(report.subject) for each in report.records if each.item == TAX]
    members = [protected_member(*each) for each in zip(records, own.openings, strict=True)]
    own.path.other_key = own.key
    own.path.other_value = protected_value(own.salt, report.subject, set_digest(TAX, members))
    own.key, own.salt = own.key[:-1] + bytes((own.key[-1] ^ 1,)), b""
    del own.openings[:]
    claims = {
        "records": tuple(each for each in report.records if each.item != TAX),
        "items": tuple(
            each.model_copy(update={"records": 0}) if each.item == TAX else each
            for each in report.items
        ),
        "proof": proof_text(proof),
    }
    forged = report.model_copy(update=claims).as_json()
    keys = AuthorityView().advanced(world.installation.log.since(0)).signing_keys
    signing = SigningKeys(world.installation.home.keys)
    document = signing.sign(keys, forged, REPORT_TYPE, report.iat)
    issuer = world.gateway.running.issuer
    published = (await world.browser.http.get(f"{issuer}/consent/receipt-keys.json")).json()

    found = verified_report(document, published, issuer, reporter.log)

    assert [(each.item, each.records) for each in found.report.items] == [(TAX, 0), (PENALTY, 1)]
    assert found.complete_on_word == (TAX,)
    told = text_of_pdf(pdf_of(found.report, document)).replace("\n", "")
    assert "以出具网关的说明为准" in told
    assert "the word of the issuing gateway" in told


async def test_a_report_is_not_proved_by_another_log(reporter: Reporter) -> None:
    report = stated((await reporter.issue()).report)

    with pytest.raises(ProofInvalid):
        verify_report(report, VerifierKey(reporter.origin, b"k" * 32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "91000000DEM0000110"},
        {"items": []},
        {"items": [PENALTY, PENALTY]},
        {"items": [f"item.{number}" for number in range(65)]},
        {"request_id": ""},
        {"recipient": "r" * 201},
        {"recipient": "two\nlines"},
        {"consent": "mine"},
        {"period": {"start_time": {"seconds": 10}, "end_time": {"seconds": 10}}},
        {"period": {"start_time": {"seconds": 10, "nanos": 1}}},
    ],
)
async def test_a_malformed_request_is_refused_by_field_and_charges_nothing(
    site: Site, wrong: dict[str, object]
) -> None:
    ledger = site.world.installation.engines.records
    charged = len(stored(ledger))

    assert await refused(site.reporter.issue(**wrong)) == "INVALID_REQUEST"

    assert len(stored(ledger)) == charged


@pytest.mark.parametrize(
    ("subject", "items"), [(COMPANY, ["no.such.item"]), (company(2), ["no.such.item"])]
)
async def test_what_is_not_licensed_is_refused_whatever_there_is(
    reporter: Reporter, subject: str, items: list[str]
) -> None:
    assert await refused(reporter.issue(subject=subject, items=items)) == "ITEM_NOT_ALLOWED"


async def test_a_report_takes_the_scope_of_records_too(site: Site) -> None:
    async with site.world.gateway.channel(scopes=("credit.reports:issue",)) as channel:
        reporter = Reporter(site.world, channel)
        assert await refused(reporter.issue()) == "SCOPE_NOT_GRANTED"
        assert await refused(reporter.get(pb.CreditReport())) == "SCOPE_NOT_GRANTED"
    async with site.world.gateway.channel(scopes=("credit.records:read",)) as channel:
        assert await refused(Reporter(site.world, channel).issue()) == "SCOPE_NOT_GRANTED"


async def test_what_is_too_much_for_one_report_is_refused_before_it_is_charged(
    site: Site,
) -> None:
    subject, ledger = company(77), site.world.installation.engines.records
    drafts = [penalty(site.world.now) for _ in range(12)]
    for number, draft in enumerate(drafts):
        content = json.loads(draft.content) | {"facts": "长" * 4_000}
        draft.record_id, draft.subject = f"large-{number}", subject
        draft.content = canonical_json(content)
    async with site.world.gateway.channel(PUBLISHER) as channel:
        await publish(channel, drafts)
    charged = len(stored(ledger))
    assert await refused(site.reporter.issue(subject=subject)) == "ANSWER_TOO_LARGE"
    assert len(stored(ledger)) == charged
