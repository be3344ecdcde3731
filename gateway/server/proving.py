"""Proofs of subjects, composed: for those who may ask, each logged as told."""

import time

from creditgate.v1.disclosure_service_pb2 import GetSubjectProofRequest
from gateway.authenticate.caller import Caller
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.conformance.guarded_proofs import GuardedProofs
from gateway.server.evidence import Evidence
from gateway.server.refusals import RefusalLog

_METHOD = "DisclosureService/GetSubjectProof"


def subject_proofs(
    evidence: Evidence, log: RefusalLog, feed: AuthorityFeed, clock: Clock
) -> GuardedProofs:
    """Return the method that proves the sets of subjects."""

    async def note_told(caller: Caller, request: GetSubjectProofRequest) -> None:
        await log.note_told(caller, _METHOD, request)

    return GuardedProofs(
        evidence.transparency.subject_proofs,
        evidence.throttle,
        feed.current,
        clock,
        time.monotonic,
        note_told,
    )
