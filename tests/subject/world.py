"""A gateway whose subject's pages are visited, with the catalogue it ships with."""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any, Final
from urllib.parse import urljoin
from uuid import uuid4

import httpx

from consent.changing import Act
from consent.model import WITHIN_PERIOD, Actor, Consent, ConsentItem, ConsentTerms
from consent.sql import SqlConsents
from consent.states import REQUESTED, Move
from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.consent_service_pb2 import DataLifeEnd
from creditgate.v1.vocabulary_pb2 import Openness, Purpose, Severity
from gateway.catalogue.file import NATIONAL, read_catalogue
from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueBook
from gateway.cli.content import canonical_json
from gateway.consents.rules import pinned
from operators.model import OPERATOR
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_ID,
    PRICE,
    PUBLISHER,
    Gateway,
    Installation,
    item,
)
from tests.people import COMPANY, SETTINGS, Browser, age_sessions, browser, fields_of
from tests.server.calls import publish

LI_MING: Final = "li-ming"
"""Represents `COMPANY`."""
ZHAO_QIAN: Final = "zhao-qian"
"""Represents another company."""
LIU_YANG: Final = "liu-yang"
"""Represents nobody: to become a deputy."""

TAX: Final = "payment.tax"
INSURANCE: Final = "payment.social-insurance"
EVALUATION: Final = "evaluation.public-credit"
PENALTY: Final = "penalty.administrative"
FIRM: Final = "示例征信有限公司（虚构）"
BANK: Final = "示例银行股份有限公司（虚构）"
BANK_ID: Final = "beta"
CREDIT_APPROVAL: Final = Purpose.PURPOSE_CREDIT_APPROVAL
DAY: Final = 86_400
_REGION: Final = "330100"
SHIPPED: Final = CatalogueBook({each.code: each for each in read_catalogue(NATIONAL)}, {})


@dataclass
class World:
    """A running gateway, and one browser."""

    gateway: Gateway
    browser: Browser

    @property
    def installation(self) -> Installation:
        """The installation that runs."""
        return self.gateway.installation

    @property
    def consents(self) -> SqlConsents:
        """Its consents."""
        return SqlConsents(self.installation.engines.records)

    @property
    def now(self) -> int:
        """Its time."""
        return self.installation.clock.now()

    def url(self, path: str) -> str:
        """Return the address of a page."""
        return f"{self.gateway.running.issuer}{path}"

    def my(self, path: str, subject: str = COMPANY) -> str:
        """Return the address of a page of a company."""
        return self.url(f"/my/{subject}{path}")

    def terms(self, items: Iterable[str | ConsentItem] = (TAX,), **changed: Any) -> ConsentTerms:
        """Return terms for credit approval, for ninety days."""
        usual: dict[str, Any] = {
            "items": tuple(
                ConsentItem(item=each) if isinstance(each, str) else each for each in items
            ),
            "purposes": frozenset({CREDIT_APPROVAL}),
            "access_mode": WITHIN_PERIOD,
            "valid_from": self.now - self.now % 60,
            "valid_until": self.now - self.now % 60 + 90 * DAY,
            "data_life_seconds": 30 * DAY,
            "data_life_end": DataLifeEnd.DATA_LIFE_END_DELETE,
            "regions": frozenset({"*"}),
        }
        return ConsentTerms(**usual | changed)

    def ask(
        self,
        terms: ConsentTerms | None = None,
        *,
        subject: str = COMPANY,
        operator_id: str = OPERATOR_ID,
        **changed: Any,
    ) -> Consent:
        """Ask for a consent, as the service keeps it."""
        now = self.now
        usual: dict[str, Any] = {
            "consent_id": f"{now:010x}-{secrets.token_hex(12)}",
            "version": 1,
            "state": REQUESTED,
            "subject": subject,
            "operator_id": operator_id,
            "client_id": f"{operator_id}-client",
            "request_id": uuid4().hex,
            "way": "inbox",
            "terms": pinned(SHIPPED, terms or self.terms()),
            "requested_at": now,
            "answer_until": now + 7 * DAY,
            "changed_at": now,
        }
        consent = Consent.model_validate(usual | changed)
        return self.consents.add(consent, Act(Actor.OPERATOR, consent.client_id, "", now))

    def given(self, terms: ConsentTerms | None = None, **how: Any) -> Consent:
        """Ask for a consent and have it granted, without a page and without a receipt."""
        return self.move(self.ask(terms, **how), "grant", Actor.SUBJECT)

    def move(self, consent: Consent, move: Move, actor: Actor, reason: str = "") -> Consent:
        """Have somebody move a consent."""
        return self.consents.move(
            consent.consent_id, move, Act(actor, "somebody", reason, self.now)
        )

    def standing(self, consent: Consent) -> Consent:
        """Return a consent as it is written now."""
        found = self.consents.get(consent.consent_id)
        assert found is not None
        return found

    async def signed_in(self, subject: str = LI_MING, visitor: Browser | None = None) -> Browser:
        """Sign somebody in, and return the browser they use."""
        used = visitor or self.browser
        await used.sign_in(await used.go(self.url("/my")), subject)
        return used

    async def send(
        self,
        page: httpx.Response,
        part: str,
        visitor: Browser | None = None,
        chosen: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send the one form of ``page`` whose action ends with ``part``, with what is chosen."""
        ((action, fields),) = forms_of(page, part)
        used = visitor or self.browser
        return await used.go(urljoin(str(page.url), action), **{**fields, **(chosen or {})})

    async def use(
        self, consent: Consent | None, items: Sequence[str], request_id: str = ""
    ) -> None:
        """Have the operator ask for records of the company, under a consent or without."""
        async with self.gateway.channel() as channel:
            await records_grpc.CreditRecordServiceStub(channel).GetSubjectRecords(
                records_pb.GetSubjectRecordsRequest(
                    subject=COMPANY,
                    items=items,
                    purpose=CREDIT_APPROVAL,
                    consent="" if consent is None else consent.name,
                    request_id=request_id or str(uuid4()),
                ),
                timeout=10,
            )

    def age(self, *, idle: int = 0, signed_in: int = 0, began: int = 0) -> None:
        """Make all sessions older: see `age_sessions`."""
        age_sessions(self.installation, idle=idle, signed_in=signed_in, began=began)

    async def publish(self) -> None:
        """Publish invented records of the company: two of tax, one penalty."""
        async with self.gateway.channel(PUBLISHER) as channel:
            await publish(channel, [tax(2023, self.now), tax(2024, self.now), penalty(self.now)])


@asynccontextmanager
async def running_world(installation: Installation) -> AsyncGenerator[World]:
    """Run a gateway with two licensed operators and the catalogue it ships with."""
    prices: dict[str, int] = dict.fromkeys(("basic", "adverse", "evaluated"), PRICE)
    plan = PricePlan(plan_id="plan-2", effective_from=installation.clock.now(), prices=prices)
    installation.put(PRICE_PLAN, plan.plan_id, plan.model_dump())
    # The item made for other tests is none of the catalogue shipped.
    made = item(CONSENT_ITEM, Openness.OPENNESS_RESTRICTED)
    installation.keep(CATALOGUE_ITEM, CONSENT_ITEM, made)
    codes: list[str] = []
    for shipped in read_catalogue(NATIONAL):
        installation.keep(CATALOGUE_ITEM, shipped.code, shipped)
        codes.append(shipped.code)
    for operator_id, name in ((OPERATOR_ID, FIRM), (BANK_ID, BANK)):
        purposes = [number for number in Purpose.values() if number]
        installation.license(operator_id, f"L-{operator_id}-2", items=codes, purposes=purposes)
        rename(installation, operator_id, name)
    async with installation.running(**SETTINGS) as gateway, browser(installation) as visitor:
        world = World(gateway, visitor)
        await world.publish()
        yield world


def rename(installation: Installation, operator_id: str, name: str) -> None:
    """Give an operator another name."""
    change = installation.log.history(kind=OPERATOR, id=operator_id, after=0, limit=99)[-1]
    installation.put(OPERATOR, operator_id, {**change.document, "display_name": name})


async def caught_up() -> None:
    """Wait until the gateway knows all that was logged: it looks every 10 ms."""
    await asyncio.sleep(0.1)


def tax(year: int, now: int) -> disclosure_pb.RecordDraft:
    """Return an invented tax record."""
    content: dict[str, object] = {
        "tax_year": year,
        "tax_credit_grade": "A",
        "paid_fen": 120_000_000,
        "arrears_fen": 0,
        "as_of": f"{year}-12-31",
    }
    return _draft(f"tax-{year}", TAX, "国家税务总局", content, now)


def evaluation(number: int, division: str, now: int) -> disclosure_pb.RecordDraft:
    """Return an invented evaluation in a division."""
    content: dict[str, object] = {
        "grade": "A",
        "method": "示例方法（虚构）",
        "evaluated_on": "2025-01-01",
    }
    source = "国家公共信用和地理空间信息中心"
    made = _draft(f"evaluation-{number}", EVALUATION, source, content, now)
    made.region = division
    return made


def penalty(now: int) -> disclosure_pb.RecordDraft:
    """Return an invented penalty."""
    content: dict[str, object] = {
        "decision_number": "示例罚决字第1号（虚构）",
        "violation": "未按期公示年度报告（虚构）",
        "legal_basis": "示例条款（虚构）",
        "penalty_kind": "罚款",
        "decided_on": "2025-01-01",
        "authority": "示例市场监督管理局（虚构）",
    }
    draft = _draft("penalty-1", PENALTY, "国家市场监督管理总局", content, now)
    draft.severity = Severity.SEVERITY_SERIOUS
    return draft


def _draft(
    record_id: str, code: str, source: str, content: dict[str, object], now: int
) -> disclosure_pb.RecordDraft:
    draft = disclosure_pb.RecordDraft(
        record_id=record_id,
        subject=COMPANY,
        item=code,
        source=source,
        region=_REGION,
        content=canonical_json(content),
    )
    draft.disclosed_from.seconds = now - DAY
    draft.disclosed_until.seconds = now + 730 * DAY
    return draft


def forms_of(page: httpx.Response, part: str) -> list[tuple[str, dict[str, str]]]:
    """Return (action, hidden fields) of the forms of ``page`` whose path ends with ``part``."""
    return [
        (action, fields_of(form))
        for form in re.findall(r"<form.*?</form>", page.text, re.DOTALL)
        for action in map(unescape, re.findall(r'action="([^"]+)"', form))
        if action.partition("?")[0].endswith(part)
    ]


def text_of(page: httpx.Response) -> str:
    """Return what a page says, without markup."""
    return unescape(re.sub(r"<[^>]+>", "", page.text))
