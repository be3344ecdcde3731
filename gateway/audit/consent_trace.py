"""TraceConsent, proved: its decisions are those of the log."""

from typing import Protocol

from creditgate.v1 import audit_service_pb2 as pb
from gateway.audit.decision import DECISIONS_PREFIX
from gateway.audit.proofs import DecisionProofs
from gateway.authenticate.caller import Caller
from gateway.consents.long_reads import LongReads


class ConsentTraces(Protocol):
    """Traces consents (`gateway.consents.trace`)."""

    async def trace_consent(
        self, request: pb.TraceConsentRequest, caller: Caller
    ) -> pb.TraceConsentResponse:
        """Answer TraceConsent, its decisions without proofs."""
        ...


class ProvedConsentTraces:
    """The method of AuditService that is about consents."""

    def __init__(self, traces: ConsentTraces, proofs: DecisionProofs, reads: LongReads) -> None:
        self._traces = traces
        self._proofs = proofs
        self._reads = reads

    async def trace_consent(
        self, request: pb.TraceConsentRequest, caller: Caller
    ) -> pb.TraceConsentResponse:
        """Answer TraceConsent; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND,
        RATE_EXCEEDED.

        A decision so new that the log does not have it yet comes without a path.
        """
        response = await self._traces.trace_consent(request, caller)
        await self._reads.run(caller.client_id, self._prove, response, request.known_tree_size)
        return response

    def _prove(self, response: pb.TraceConsentResponse, known_tree_size: int) -> None:
        decisions = [step.decision for step in response.steps if step.HasField("decision")]
        names = {step.entry.name.removeprefix(DECISIONS_PREFIX): step for step in decisions}
        indexes = self._proofs.indexes_of(names.keys())
        at = self._proofs.at(known_tree_size)
        logged = [
            name for name in names if indexes.get(name, at.checkpoint.size) < at.checkpoint.size
        ]
        proved = self._proofs.decisions([indexes[name] for name in logged], at)
        for name, decision in zip(logged, proved, strict=True):
            names[name].CopyFrom(decision)
        response.proof.CopyFrom(at.proof)
