"""The record service over a real store, authority log and consents, and a clock that stands."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from time import monotonic
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.model import Consent, ConsentItem
from consent.sql import SqlConsents
from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.refusal import Refused
from creditgate.transparency.verify import VerifiedAnswer, verify_answer
from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.catalogue_service_pb2 import ContentFieldType
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Openness, Purpose, SubjectType
from gateway.authenticate.caller import Caller
from gateway.authorise.consents import ConsentLookup
from gateway.authorise.gate import Gate
from gateway.authority.feed import AuthorityFeed, PollBell
from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueItem, ContentField, PeriodRule
from gateway.consents.rules import pinned
from gateway.disclose.lookup import DisclosureLookup, Found, open_lookup
from gateway.disclose.model import Line
from gateway.meter.committer import GroupCommitter
from gateway.meter.decisions import DecisionIds
from gateway.meter.deliveries import Deliveries
from gateway.meter.ledger import UsageLedger
from gateway.oauth.revocation_log import SqlRevocationLog
from gateway.pki.client_keys import make_assertion_key
from gateway.respond.delivery_turns import DeliveryLimits, DeliveryTurns
from gateway.respond.path import AnswerPath, RecordLimits
from gateway.respond.proofs import AnswerProofs
from gateway.respond.service import CreditRecordService
from gateway.respond.use import SCOPE
from gateway.server.line import line_within
from gateway.storage.engines import Engines
from gateway.storage.turn import LOGGING
from gateway.transparency.disclosure_map import DisclosureMap
from gateway.transparency.event_proofs import EventProofs
from gateway.transparency.keys import LogKey
from gateway.transparency.log import MerkleLog
from gateway.transparency.logger import DisclosureLogger
from gateway.transparency.map_reader import open_map
from gateway.transparency.progress import LogProgress
from gateway.transparency.salts import Salts
from gateway.transparency.tables import LogId
from gateway.transparency.writer import DisclosureWriter
from gateway.usage.charged import is_charged
from gateway.usage.duties import Unsigned
from gateway.usage.unsigned import UnsignedUse
from operators.log import Draft
from operators.model import (
    CLIENT,
    LICENCE,
    OPERATOR,
    SCOPE_GRANT,
    Client,
    Licence,
    Operator,
    ScopeGrant,
)
from operators.sql import SqlAuthorityLog
from tests import consenting
from tests.clock import StandingClock
from tests.meter.world import NOW, Disclosure, admitted, company, stored
from tests.receipts import RECEIPTS

PURPOSE = Purpose.PURPOSE_BIDDING
PRICE = 50_000
OPEN, OTHER, CONSENT, GRADED, RESTRICTED, UNPRICED = (
    "open.one", "open.other", "consent.one", "graded.one", "restricted.one", "unpriced.one",
)  # fmt: skip
OPENNESS = {
    OPEN: Openness.OPENNESS_PUBLIC,
    OTHER: Openness.OPENNESS_PUBLIC,
    CONSENT: Openness.OPENNESS_CONSENT,
    GRADED: Openness.OPENNESS_CONSENT,
    RESTRICTED: Openness.OPENNESS_RESTRICTED,
    UNPRICED: Openness.OPENNESS_PUBLIC,
}
LICENSED = frozenset({OPEN, OTHER, CONSENT, GRADED, RESTRICTED})
DELIVERY_LIMITS = DeliveryLimits(window_records=6, chunk_subjects=2, grace_seconds=60)
LIMITS = RecordLimits(
    answer_bytes=10_000, batch_subjects=1_000, chunk_subjects=4, replay_seconds=3_600
)


def caller(operator_id: str = "alpha", client: str = "") -> Caller:
    """Return a client of an operator."""
    return Caller(
        client_id=client or f"{operator_id}-client",
        role=ClientRole.CLIENT_ROLE_OPERATOR,
        operator_id=operator_id,
        token_scopes=frozenset({SCOPE}),
        token_expires_at=NOW + 300,
    )


ALPHA = caller()


class Interleaved:
    """The real lookup, after each reading of which something else may happen."""

    def __init__(self, lookup: DisclosureLookup) -> None:
        self._lookup = lookup
        self.then: list[Callable[[], object]] = []
        self.readings = 0

    def _after(self, found: Found) -> Found:
        self.readings += 1
        if self.then:
            self.then.pop(0)()
        return found

    async def of_subject(self, subject: str) -> Found:
        """See the port."""
        return self._after(await self._lookup.of_subject(subject))

    async def of_subjects(self, subjects: Sequence[str]) -> Found:
        """See the port."""
        return self._after(await self._lookup.of_subjects(subjects))

    async def of_record(self, record_id: str) -> Found:
        """See the port."""
        return self._after(await self._lookup.of_record(record_id))

    async def lines(self) -> dict[int, Line]:
        """See the port."""
        return await self._lookup.lines()

    def close(self) -> None:
        """See the port."""
        self._lookup.close()


class World:
    """One process's record service; alpha and beta are licensed and granted."""

    def __init__(self, engines: Engines, limits: RecordLimits) -> None:
        self.engine = engines.records
        self.clock = StandingClock()
        self.log = SqlAuthorityLog(engines.authority)
        self.feed = AuthorityFeed(
            self.log,
            revocations=SqlRevocationLog(engines.authority),
            clock=self.clock,
            poll_seconds=60,
            lease_seconds=600,
            monotonic=monotonic,
            bell=PollBell(),
        )
        self.consents = SqlConsents(self.engine)
        self.disclosure = Disclosure(self.engine)
        self.committer = GroupCommitter(
            UsageLedger(self.engine, self.clock, RECEIPTS), lambda size: None
        )
        self.lookup = Interleaved(open_lookup(self.engine, self.committer.when_free))
        self.numbers = count(1)
        self.log_key = LogKey("gateway.test/log/disclosure", Ed25519PrivateKey.generate())
        salts = Salts(bytes(32))
        merkle = MerkleLog(engines.evidence, LogId.DISCLOSURE, self.log_key)
        self.writer = DisclosureWriter(
            engines.records,
            engines.evidence,
            merkle,
            salts,
            DisclosureMap(engines.records, salts),
            lambda: self.feed.current().catalogue,
        )
        waiting, working = line_within()
        self.progress = LogProgress(engines.evidence, partial(waiting.tell, LOGGING))
        waiting.listen(LOGGING, self.progress.stepped)
        self.logger = DisclosureLogger(
            self.writer, engines.evidence, self.clock, stepped=partial(working.tell, LOGGING)
        )
        working.listen(LOGGING, self.logger.nudge)
        self.map = open_map(engines.evidence, merkle, salts)
        self.proofs = AnswerProofs(
            engines.evidence,
            self.map,
            EventProofs(engines.evidence, merkle),
            salts,
            self.progress,
            self.log_key,
        )
        self.deliveries = Deliveries(self.engine)
        self.turns = DeliveryTurns(self.deliveries, self.clock, DELIVERY_LIMITS)
        self.refused: dict[str, Unsigned] = {}
        """Who must agree with its use first."""
        self.unsigned = UnsignedUse(
            lambda: dict(self.refused), partial(is_charged, self.engine), poll_seconds=0.01
        )
        path = AnswerPath(
            feed=self.feed,
            gate=Gate(),
            consents=ConsentLookup(self.consents),
            lookup=self.lookup,
            committer=self.committer,
            decisions=DecisionIds(),
            clock=self.clock,
            limits=limits,
            proofs=self.proofs,
            unsigned=self.unsigned,
        )
        self.service = CreditRecordService(
            path, self.lookup, self.clock, limits, self.proofs, self.turns
        )

    async def put(self, *drafts: Draft) -> None:
        """Change authority, and let the service know of it."""
        self.log.append(drafts, changed_by="office", changed_at=0, reason="test")
        await self.feed.refresh()

    def publish(self, *records: Any) -> list[int]:
        """Publish records; see `tests.meter.world.admitted`."""
        return self.disclosure.publish(*records)

    def give(
        self,
        number: int = 1,
        *items: str | ConsentItem,
        operator_id: str = "alpha",
        **changed: Any,
    ) -> Consent:
        """Let an invented company consent to items, to all they declare now where no fields
        are named; see `tests.consenting.terms`."""
        catalogue = self.feed.current().catalogue
        agreed = pinned(catalogue, consenting.terms(items or (CONSENT,), **changed))
        return consenting.given(self.consents, company(number), agreed, operator_id=operator_id)

    async def ask(
        self, number: int = 1, *, asking: Caller = ALPHA, **fields: Any
    ) -> pb.GetSubjectRecordsResponse:
        """Ask for the records of an invented company."""
        request = pb.GetSubjectRecordsRequest(**self._asked(fields, subject=company(number)))
        return pb.GetSubjectRecordsResponse.FromString(
            await self.service.get_subject_records(request, asking)
        )

    async def get(
        self, record_id: str, *, asking: Caller = ALPHA, **fields: Any
    ) -> pb.GetRecordResponse:
        """Ask for one record."""
        request = pb.GetRecordRequest(**self._asked(fields, name=f"records/{record_id}"))
        return pb.GetRecordResponse.FromString(await self.service.get_record(request, asking))

    async def batch(
        self, numbers: Sequence[int], *, asking: Caller = ALPHA, **fields: Any
    ) -> list[pb.BatchGetSubjectRecordsResponse]:
        """Ask for the records of many companies."""
        return [message async for message in self.batched(numbers, asking=asking, **fields)]

    async def batched(
        self, numbers: Sequence[int], *, asking: Caller = ALPHA, **fields: Any
    ) -> AsyncGenerator[pb.BatchGetSubjectRecordsResponse]:
        """Ask for the records of many companies, and take them one by one."""
        subjects = [company(number) for number in numbers]
        request = pb.BatchGetSubjectRecordsRequest(**self._asked(fields, subjects=subjects))
        async for message in self.service.batch_get_subject_records(request, asking):
            yield pb.BatchGetSubjectRecordsResponse.FromString(message)

    def logged(self) -> None:
        """Bring log and map up to the disclosure."""
        while self.writer.step(self.clock.now()):
            pass

    async def proved(
        self,
        number: int = 1,
        *,
        asking: Caller = ALPHA,
        proof: ProofKind.ValueType = ProofKind.PROOF_KIND_COMPLETE,
        **fields: Any,
    ) -> VerifiedAnswer:
        """Ask for the records of an invented company with a proof, and verify the answer."""
        asked = self._asked(fields, subject=company(number), proof=proof)
        request = pb.GetSubjectRecordsRequest(**asked)
        sent = request.SerializeToString()
        answer = await self.service.get_subject_records(request, asking)
        return verify_answer(sent, answer, self.log_key.verifier)

    async def proved_chunks(
        self,
        numbers: Sequence[int],
        *,
        proof: ProofKind.ValueType = ProofKind.PROOF_KIND_COMPLETE,
        **fields: Any,
    ) -> list[VerifiedAnswer]:
        """Ask for the records of many companies with proofs, and verify each chunk."""
        subjects = [company(number) for number in numbers]
        asked = self._asked(fields, subjects=subjects, proof=proof)
        request = pb.BatchGetSubjectRecordsRequest(**asked)
        sent = request.SerializeToString()
        found: list[VerifiedAnswer] = []
        parts: list[bytes] = []
        async for message in self.service.batch_get_subject_records(request, ALPHA):
            parts.append(message)
            if pb.BatchGetSubjectRecordsResponse.FromString(message).chunk_complete:
                found.append(verify_answer(sent, parts, self.log_key.verifier))
                parts = []
        assert not parts
        return found

    def _asked(self, fields: dict[str, Any], **usual: Any) -> dict[str, Any]:
        return {"purpose": PURPOSE, "request_id": self.fresh()} | usual | fields

    def fresh(self) -> str:
        """Return a request id not used before."""
        return f"request-{next(self.numbers)}"

    def answers(self) -> list[Any]:
        """Return the ledger's rows of operator alpha, in order."""
        return [row for row in stored(self.engine) if row.operator_id == "alpha"]

    def charged(self) -> int:
        """Return the number of entries charged to operator alpha."""
        return sum(row.entry_count for row in self.answers())


@asynccontextmanager
async def world_on(engines: Engines, limits: RecordLimits = LIMITS) -> AsyncGenerator[World]:
    """Open and close a world."""
    world = World(engines, limits)
    await world.put(
        *(Draft(CATALOGUE_ITEM, code, 0, item(code).as_document()) for code in OPENNESS),
        Draft(PRICE_PLAN, "plan-1", 0, plan("plan-1", 0).model_dump()),
        *(draft for name in ("alpha", "beta") for draft in operator(name)),
    )
    # Some use by another operator, so that the revenue lines are known already.
    world.publish(*(record(f"known-{code}", 900, code) for code in OPENNESS))
    await world.ask(900, asking=caller("beta"))
    world.lookup.readings = 0
    yield world
    world.turns.close()
    world.committer.close()
    world.lookup.close()
    world.proofs.close()
    world.map.close()
    await world.logger.stop()
    await world.progress.stop()
    await world.feed.stop()


def plan(plan_id: str, effective_from: int, price: int = PRICE) -> PricePlan:
    """Return a plan with a price for all but the item that has none."""
    prices = {code: price for code in OPENNESS if code != UNPRICED}
    return PricePlan(plan_id=plan_id, effective_from=effective_from, prices=prices)


def item(code: str) -> CatalogueItem:
    """Return a catalogue item; its price class is its own code."""
    return CatalogueItem(
        code=code,
        name_zh="虚构目录项",
        name_en="Invented item",
        sources=("s",),
        subject_types=(SubjectType.SUBJECT_TYPE_ENTERPRISE,),
        openness=OPENNESS[code],
        period_rules=(PeriodRule(legal_source="none"),),
        price_class=code,
        content_fields=(
            ContentField(
                name="about",
                type=ContentFieldType.CONTENT_FIELD_TYPE_STRING,
                max_length=100,
                result=code == GRADED,
            ),
            ContentField(name="score", type=ContentFieldType.CONTENT_FIELD_TYPE_INTEGER),
        ),
    )


def operator(
    name: str,
    *,
    items: frozenset[str] = LICENSED,
    regions: frozenset[str] = frozenset({"11"}),
    quota: int = 1_000_000,
    valid_until: int = NOW * 2,
) -> list[Draft]:
    """Return an operator with a licence, a client and a grant."""
    licence = Licence(
        number=f"licence-{name}",
        operator_id=name,
        valid_from=0,
        valid_until=valid_until,
        items=items,
        purposes=frozenset({PURPOSE}),
        regions=regions,
        daily_record_quota=quota,
    )
    client = Client(
        client_id=f"{name}-client",
        role=ClientRole.CLIENT_ROLE_OPERATOR,
        operator_id=name,
        jwks=make_assertion_key().jwks,
        certificate_thumbprints=frozenset({name[0].upper() + "A" * 42}),
    )
    firm = Operator(
        operator_id=name,
        display_name=f"Invented firm {name}",
        uscc=company(len(name) * 1_000),
        state=OperatorState.OPERATOR_STATE_ACTIVE,
    )
    grant = ScopeGrant(grant_id=f"grant-{name}", grantee=name, scope=SCOPE, valid_from=0)
    return [
        Draft(OPERATOR, name, 0, firm.as_document()),
        Draft(LICENCE, licence.number, 0, licence.as_document()),
        Draft(CLIENT, client.client_id, 0, client.as_document()),
        Draft(SCOPE_GRANT, grant.grant_id, 0, grant.as_document()),
    ]


def record(record_id: str, number: int = 1, item_code: str = OPEN, **changes: Any) -> Any:
    """Return a record of an invented company in region 110000."""
    return admitted(record_id, number, item=item_code, **changes)


def names(answer: Any) -> list[str]:
    """Return the ids of the records of an answer."""
    return [found.name.removeprefix("records/") for found in answer.records]


def reason(refusal: pytest.ExceptionInfo[Refused]) -> str:
    """Return a refusal's reason, for short."""
    return RefusalReason.Name(refusal.value.reason).removeprefix("REFUSAL_REASON_")
