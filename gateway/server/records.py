"""The record calls' path, composed: what every answer with records goes through."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from gateway.authorise.consents import ConsentLookup
from gateway.authorise.gate import Gate
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.conformance.throttle import Throttle
from gateway.conformance.throttled_records import ThrottledRecords
from gateway.disclose.lookup import DisclosureLookup, open_lookup
from gateway.meter.committer import GroupCommitter
from gateway.meter.decisions import DecisionIds
from gateway.meter.deliveries import Deliveries
from gateway.meter.ledger import UsageLedger
from gateway.meter.receipts import ReceiptSigner
from gateway.meter.same_core import SameCore
from gateway.respond.delivery_turns import DeliveryLimits, DeliveryTurns
from gateway.respond.path import AnswerPath, RecordLimits
from gateway.respond.proofs import AnswerProofs
from gateway.respond.service import CreditRecordService
from gateway.respond.use import SCOPE
from gateway.server.consents import Consenting
from gateway.server.transparency import Transparency
from gateway.storage.engines import Engines
from gateway.telemetry.telemetry import Telemetry
from gateway.usage.unsigned import UnsignedUse


@dataclass(frozen=True, slots=True)
class RecordPath:
    """The parts of the path; see their own modules. ``limits`` are those of record calls."""

    feed: AuthorityFeed
    clock: Clock
    consents: ConsentLookup
    lookup: DisclosureLookup
    committer: GroupCommitter
    decisions: DecisionIds
    proofs: AnswerProofs
    throttle: Throttle
    unsigned: UnsignedUse
    limits: RecordLimits
    turns: DeliveryTurns

    def service(self, most_bytes: int | None = None, scope: str = SCOPE) -> ThrottledRecords:
        """Return what serves record calls to clients granted ``scope``, of at most
        ``most_bytes`` of records where that is less than `limits` allow."""
        answer_bytes = self.limits.answer_bytes
        if most_bytes is not None:
            answer_bytes = min(most_bytes, answer_bytes)
        limits = replace(self.limits, answer_bytes=answer_bytes)
        path = AnswerPath(
            feed=self.feed,
            gate=Gate(),
            consents=self.consents,
            lookup=self.lookup,
            committer=self.committer,
            decisions=self.decisions,
            clock=self.clock,
            limits=limits,
            proofs=self.proofs,
            unsigned=self.unsigned,
        )
        service = CreditRecordService(
            path, self.lookup, self.clock, limits, self.proofs, self.turns, scope
        )
        return ThrottledRecords(service, self.throttle)


def record_path(
    config: GatewayConfig,
    engines: Engines,
    feed: AuthorityFeed,
    clock: Clock,
    consents: Consenting,
    transparency: Transparency,
    throttle: Throttle,
    unsigned: UnsignedUse,
    receipts: ReceiptSigner,
    telemetry: Telemetry,
    stack: AsyncExitStack,
) -> RecordPath:
    """Return the path; ``stack`` closes it. Raises what the stores raise."""
    ledger = UsageLedger(engines.records, clock, receipts)
    # Where others wait for the store's lock, who holds it must not wait for one core.
    same_core = SameCore(stays=config.workers == 1)
    committer = GroupCommitter(ledger, telemetry.metering.add_group, same_core)
    lookup = open_lookup(engines.records, committer.when_free)
    # The committer ends first: closing, it still gives waiting lookups their turn.
    stack.callback(lookup.close)
    stack.callback(committer.close)
    named = ConsentLookup(consents.consents)
    stack.callback(named.close)
    turns = DeliveryTurns(
        Deliveries(engines.records),
        clock,
        DeliveryLimits(
            window_records=config.delivery_window_records,
            chunk_subjects=config.delivery_chunk_subjects,
            grace_seconds=config.delivery_grace_seconds,
        ),
    )
    stack.callback(turns.close)
    proofs = AnswerProofs(
        engines.evidence,
        transparency.map,
        transparency.events,
        transparency.salts,
        transparency.progress,
        transparency.key,
    )
    stack.callback(proofs.close)
    return RecordPath(
        feed,
        clock,
        named,
        lookup,
        committer,
        DecisionIds(),
        proofs,
        throttle,
        unsigned,
        RecordLimits(
            answer_bytes=config.max_message_bytes,
            batch_subjects=config.max_subjects_per_batch,
            chunk_subjects=config.chunk_subjects,
            replay_seconds=config.replay_window_seconds,
        ),
        turns,
    )
