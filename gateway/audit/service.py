"""AuditService: decisions, and traces by request, operator and record, for administrators."""

from collections.abc import Callable, Iterable
from typing import Final

from sqlalchemy import ColumnElement

from creditgate.refusal import Refused, Violation
from creditgate.transparency.decisions import DECISIONS_PREFIX
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.audit.decision_steps import DecisionSteps
from gateway.audit.operator_steps import AuthoritySteps
from gateway.audit.proofs import DecisionProofs, LogAt
from gateway.audit.record_steps import RecordSteps
from gateway.audit.region_record_steps import RegionRecordSteps
from gateway.audit.request import asked_of, id_faults, name_faults
from gateway.audit.steps import Asked, Source, messages_of, page_of
from gateway.audit.tables import DECISIONS
from gateway.audit.trail import TrailSteps
from gateway.authenticate.caller import Caller
from gateway.shares import Shares
from operators.authority import Authority

_RECORDS: Final = "records/"
_MOST_REGION: Final = 255
_D: Final = DECISIONS.c


class AuditService:
    """Lists and traces what is in the decision log, with proofs.

    ``authority`` gives the present one; raises Refused AUTHORITY_UNKNOWN.
    """

    def __init__(
        self,
        proofs: DecisionProofs,
        decisions: DecisionSteps,
        records: RecordSteps,
        region_records: RegionRecordSteps,
        changes: AuthoritySteps,
        conformance: TrailSteps,
        authority: Callable[[], Authority],
        reads: Shares,
    ) -> None:
        self._proofs = proofs
        self._decisions = decisions
        self._records = records
        self._region_records = region_records
        self._changes = changes
        self._conformance = conformance
        self._authority = authority
        self._reads = reads

    async def list_decisions(
        self, request: pb.ListDecisionsRequest, caller: Caller
    ) -> pb.ListDecisionsResponse:
        """Answer ListDecisions; raises Refused INVALID_REQUEST, RATE_EXCEEDED."""
        return await self._reads.run(caller.client_id, self._list, request)

    async def trace_request(
        self, request: pb.TraceRequestRequest, caller: Caller
    ) -> pb.TraceRequestResponse:
        """Answer TraceRequest; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND,
        RATE_EXCEEDED."""
        return await self._reads.run(caller.client_id, self._trace_request, request)

    async def trace_operator(
        self, request: pb.TraceOperatorRequest, caller: Caller
    ) -> pb.TraceOperatorResponse:
        """Answer TraceOperator; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND,
        RATE_EXCEEDED."""
        return await self._reads.run(caller.client_id, self._trace_operator, request)

    async def trace_record(
        self, request: pb.TraceRecordRequest, caller: Caller
    ) -> pb.TraceRecordResponse:
        """Answer TraceRecord; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND,
        RATE_EXCEEDED."""
        return await self._reads.run(caller.client_id, self._trace_record, request)

    def _list(self, request: pb.ListDecisionsRequest) -> pb.ListDecisionsResponse:
        faults = id_faults("operator_id", request.operator_id, required=False)
        faults += id_faults("client_id", request.client_id, required=False)
        if request.outcome not in pb.DecisionOutcome.values():
            faults.append(Violation("outcome", "use a value of DecisionOutcome"))
        if request.reason not in RefusalReason.values():
            faults.append(Violation("reason", "use a value of RefusalReason"))
        asked = asked_of(
            request,
            ("decisions", request.operator_id, request.client_id, request.outcome, request.reason),
            faults,
        )
        at = self._proofs.at(asked.known_tree_size)
        conditions = _given(
            (_D.operator_id, request.operator_id),
            (_D.client_id, request.client_id),
            (_D.outcome, request.outcome),
            (_D.reason, request.reason),
        )
        found = self._decisions.matching(at.checkpoint.size, *conditions, served=False)
        page = page_of(asked, found)
        indexes = [step.what for step in page.steps if isinstance(step.what, int)]
        return pb.ListDecisionsResponse(
            decisions=self._proofs.decisions(indexes, at),
            next_page_token=asked.token(page),
            proof=at.proof,
        )

    def _trace_request(self, request: pb.TraceRequestRequest) -> pb.TraceRequestResponse:
        decision_id, client = request.decision, request.client_request
        faults: list[Violation] = []
        match request.WhichOneof("request"):
            case "decision":
                faults += name_faults("decision", decision_id, DECISIONS_PREFIX)
                decision_id = decision_id.removeprefix(DECISIONS_PREFIX)
                conditions = [_D.decision_id == decision_id]
            case "client_request":
                faults += id_faults("client_request.client_id", client.client_id, required=True)
                faults += id_faults("client_request.request_id", client.request_id, required=True)
                conditions = [
                    _D.client_id == client.client_id,
                    _D.request_id == client.request_id,
                ]
            case _:
                # No trace id is in the logs yet, so none can be looked for.
                faults.append(Violation("request", "name a decision or a client's request"))
                conditions = []
        filters = ("request", decision_id, client.client_id, client.request_id)
        asked = asked_of(request, filters, faults)
        if decision_id and not self._proofs.indexes_of([decision_id]):
            raise _unknown("decision")
        at, steps, token = self._traced(
            asked, lambda size: [self._decisions.matching(size, *conditions)]
        )
        return pb.TraceRequestResponse(steps=steps, next_page_token=token, proof=at.proof)

    def _trace_operator(self, request: pb.TraceOperatorRequest) -> pb.TraceOperatorResponse:
        operator_id = request.operator_id
        faults = id_faults("operator_id", operator_id, required=True)
        asked = asked_of(request, ("operator", operator_id), faults)
        if operator_id not in self._authority().operators:
            raise _unknown("operator")
        at, steps, token = self._traced(
            asked,
            lambda size: [
                self._decisions.matching(size, _D.operator_id == operator_id),
                self._changes.of_operator(operator_id),
                *self._conformance.of_operator(operator_id),
            ],
        )
        return pb.TraceOperatorResponse(steps=steps, next_page_token=token, proof=at.proof)

    def _trace_record(self, request: pb.TraceRecordRequest) -> pb.TraceRecordResponse:
        record_id, region = request.record.removeprefix(_RECORDS), request.home_region
        faults = name_faults("record", request.record, _RECORDS)
        if len(region) > _MOST_REGION:
            faults.append(Violation("home_region", "use a region's entity identifier, or none"))
        filters = ("record", record_id, region) if region else ("record", record_id)
        asked = asked_of(request, filters, faults)
        if region:
            return self._trace_elsewhere(asked, region, record_id)
        record = self._records.record(record_id)
        if record is None:
            raise _unknown("record")
        # Before the log is looked at: it then has all of these.
        served = self._records.served(record, max(asked.after.at, asked.from_), asked.until)
        at, steps, token = self._traced(
            asked,
            lambda _: [
                served,
                self._records.disclosed(record),
                *self._conformance.of_record(record_id),
            ],
        )
        return pb.TraceRecordResponse(steps=steps, next_page_token=token, proof=at.proof)

    def _trace_elsewhere(self, asked: Asked, region: str, record_id: str) -> pb.TraceRecordResponse:
        """Trace who was given a record of another region here."""
        if not self._region_records.is_known(region, record_id):
            raise _unknown("record")
        since = max(asked.after.at, asked.from_)
        given = self._region_records.given(region, record_id, since, asked.until)
        at, steps, token = self._traced(asked, lambda _: [given])
        return pb.TraceRecordResponse(steps=steps, next_page_token=token, proof=at.proof)

    def _traced(
        self, asked: Asked, sources: Callable[[int], list[Source]]
    ) -> tuple[LogAt, Iterable[pb.TraceStep], str]:
        """Return the log, a page of steps and the token of the next; ``sources`` are given
        how many entries of the log they may tell of."""
        at = self._proofs.at(asked.known_tree_size)
        page = page_of(asked, *sources(at.checkpoint.size))
        steps = messages_of(page, lambda indexes: self._proofs.decisions(indexes, at))
        return at, steps, asked.token(page)


def _given(*conditions: tuple[ColumnElement[object], object]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in conditions if value]


def _unknown(what: str) -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND, f"There is no such {what} here."
    )
