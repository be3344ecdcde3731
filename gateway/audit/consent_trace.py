"""TraceConsent, proved: its decisions are those of the log, and so are its changes."""

from typing import Protocol

from creditgate.transparency.decisions import DECISIONS_PREFIX
from creditgate.v1 import audit_service_pb2 as pb
from gateway.audit.decision import change_id
from gateway.audit.proofs import DecisionProofs
from gateway.authenticate.caller import Caller
from gateway.shares import Shares


class ConsentTraces(Protocol):
    """Traces consents (`gateway.consents.trace`)."""

    async def trace_consent(
        self, request: pb.TraceConsentRequest, caller: Caller
    ) -> pb.TraceConsentResponse:
        """Answer TraceConsent, its decisions without proofs."""
        ...


class ProvedConsentTraces:
    """The method of AuditService that is about consents."""

    def __init__(self, traces: ConsentTraces, proofs: DecisionProofs, reads: Shares) -> None:
        self._traces = traces
        self._proofs = proofs
        self._reads = reads

    async def trace_consent(
        self, request: pb.TraceConsentRequest, caller: Caller
    ) -> pb.TraceConsentResponse:
        """Answer TraceConsent; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND,
        RATE_EXCEEDED.

        A decision so new that the log does not have it yet comes without a path, and a change
        of the consent so new without its entry.
        """
        response = await self._traces.trace_consent(request, caller)
        await self._reads.run(caller.client_id, self._prove, response, request.known_tree_size)
        return response

    def _prove(self, response: pb.TraceConsentResponse, known_tree_size: int) -> None:
        named = {_decision_id(step): step for step in response.steps if _is_decided(step)}
        indexes = self._proofs.indexes_of(named.keys())
        at = self._proofs.at(known_tree_size)
        logged = [
            name for name in named if indexes.get(name, at.checkpoint.size) < at.checkpoint.size
        ]
        proved = self._proofs.decisions([indexes[name] for name in logged], at)
        for name, decision in zip(logged, proved, strict=True):
            step = named[name]
            change = step.HasField("consent")
            (step.change_decision if change else step.decision).CopyFrom(decision)
        response.proof.CopyFrom(at.proof)


def _is_decided(step: pb.TraceStep) -> bool:
    return step.HasField("decision") or step.HasField("consent")


def _decision_id(step: pb.TraceStep) -> str:
    if step.HasField("consent"):
        return change_id(step.consent.sequence)
    return step.decision.entry.name.removeprefix(DECISIONS_PREFIX)
