"""Requests about findings, attestations and challenges checked, faults by field."""

import re
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from creditgate.refusal import Refused, Violation, invalid
from creditgate.transparency.facts import NO_END, Copy, copy_digest
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import FindingState
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.conformance.contest_limits import MOST_EVIDENCE_BYTES
from gateway.instants import instant_faults, period_of
from gateway.note import note_faults
from gateway.settle.paging import Filters, id_of, page_token

_MOST_LISTED: Final = 1_000
_USUAL: Final = 100
_MOST_STATEMENT: Final = 2_000
_MOST_REASON: Final = 500
_MOST_SHOWN: Final = 100
_MOST_FAULTS: Final = 100
_ID: Final = "[0-9a-f]{10}-[0-9a-f]{24}"
_FINDING: Final = re.compile(f"findings/({_ID})")
_ATTESTATION: Final = re.compile(f"attestations/({_ID})")
_CHALLENGE: Final = re.compile(f"challenges/({_ID})")
_NUMBER: Final = re.compile("[1-9][0-9]{0,17}")
_TOKEN_FAULT: Final = Violation(
    "page_token", "use the next_page_token of an earlier page of the same request"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is asked for: up to ``size`` things after the one of id ``before``."""

    size: int
    before: str
    filters: Filters

    def token(self, end: str) -> str:
        """Return the token of the page after the thing of id ``end``."""
        return page_token(end, self.filters)


class FindingsAsked(NamedTuple):
    """Which findings are asked for; "" and 0 narrow nothing."""

    operator_id: str
    attestation_id: str
    state: FindingState.ValueType
    page: Page


class AttestationsAsked(NamedTuple):
    """Which attestations are asked for: of [from_, until) in seconds, UTC, None without end.

    ``page`` is by their numbers.
    """

    operator_id: str
    from_: int | None
    until: int | None
    page: Page


class Contested(NamedTuple):
    """What an operator says against a finding, and the evidence it hands in."""

    finding_id: str
    statement: str
    evidence: bytes


class Decided(NamedTuple):
    """What an administrator decides about a finding, and why."""

    finding_id: str
    dismiss: bool
    reason: str


class Shown(NamedTuple):
    """A copy as it is shown, one of all that are held of a record; ``content`` None where none is
    held any more. Times in seconds, UTC."""

    challenge_id: str
    content: bytes | None
    disclosed_from: int
    disclosed_until: int

    def digests(self, record_id: str) -> tuple[bytes, bytes]:
        """Return `facts.copy_digest` of the copy as one of a record, and SHA-256 of its
        content; b"" and b"" where none is held."""
        if self.content is None:
            return b"", b""
        content = sha256(self.content).digest()
        copy = Copy(record_id, content, self.disclosed_from, self.disclosed_until)
        return copy_digest(copy), content


def operator_asked(operator_id: str, caller: Caller, view: AuthorityView) -> str:
    """Return whose things are asked for: an operator's own, or those an administrator names.

    Raises Refused SCOPE_NOT_GRANTED for another operator's, INVALID_REQUEST where an
    administrator names none, RESOURCE_NOT_FOUND.
    """
    if caller.operator_id:
        if operator_id not in {"", caller.operator_id}:
            raise Refused(
                RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
                "An operator sees only what concerns itself: leave operator_id empty.",
            )
        return caller.operator_id
    if not operator_id:
        raise invalid(Violation("operator_id", "name the operator"))
    if operator_id not in view.authority.operators:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
            "No operator has this operator_id; ListOperators lists them.",
        )
    return operator_id


def findings_asked(request: pb.ListFindingsRequest, operator_id: str) -> FindingsAsked:
    """Return what a ListFindings call asks for; raises Refused INVALID_REQUEST."""
    found: list[Violation] = []
    attestation_id = ""
    if request.attestation:
        match = _ATTESTATION.fullmatch(request.attestation)
        if match is None:
            found.append(
                Violation("attestation", "use the name of an attestation, attestations/ID")
            )
        else:
            attestation_id = match[1]
    if request.state not in FindingState.values():
        found.append(Violation("state", "use a state of the enum FindingState"))
    filters = ("findings", operator_id, request.attestation, request.state)
    page = _page(request.page_size, request.page_token, filters, found)
    return FindingsAsked(operator_id, attestation_id, request.state, page)


def attestations_asked(request: pb.ListAttestationsRequest, operator_id: str) -> AttestationsAsked:
    """Return what a ListAttestations call asks for; raises Refused INVALID_REQUEST."""
    found: list[Violation] = []
    from_, until = period_of("period", request.period, found)
    filters = ("attestations", operator_id, from_, until)
    page = _page(request.page_size, request.page_token, filters, found)
    if page.before and not _NUMBER.fullmatch(page.before):
        raise invalid(_TOKEN_FAULT)
    return AttestationsAsked(operator_id, from_, until, page)


def challenges_asked(request: pb.ListChallengesRequest, operator_id: str) -> Page:
    """Return the page a ListChallenges call asks for; raises Refused INVALID_REQUEST."""
    return _page(request.page_size, request.page_token, ("challenges", operator_id), [])


def finding_id_of(field: str, name: str) -> str:
    """Return the id in a finding's resource name; raises Refused INVALID_REQUEST."""
    match = _FINDING.fullmatch(name)
    if match is None:
        raise invalid(Violation(field, "use the name of a finding, findings/ID"))
    return match[1]


def contested(request: pb.ContestFindingRequest) -> Contested:
    """Return what a ContestFinding call brings; raises Refused INVALID_REQUEST."""
    found = note_faults("statement", request.statement, _MOST_STATEMENT)
    if len(request.evidence) > MOST_EVIDENCE_BYTES:
        found.append(Violation("evidence", f"use at most {MOST_EVIDENCE_BYTES} bytes"))
    if found:
        raise invalid(*found)
    finding_id = finding_id_of("name", request.name)
    return Contested(finding_id, request.statement, request.evidence)


def decided(request: pb.DecideFindingRequest) -> Decided:
    """Return what a DecideFinding call brings; raises Refused INVALID_REQUEST."""
    found = note_faults("reason", request.reason, _MOST_REASON)
    if found:
        raise invalid(*found)
    return Decided(finding_id_of("name", request.name), request.dismiss, request.reason)


def shown(request: pb.AnswerChallengeRequest) -> list[Shown]:
    """Return the copies an AnswerChallenge call shows; raises Refused INVALID_REQUEST."""
    if not 1 <= len(request.copies) <= _MOST_SHOWN:
        raise invalid(Violation("copies", f"show 1 to {_MOST_SHOWN}"))
    found: list[Violation] = []
    copies = [_shown(at, message, found) for at, message in enumerate(request.copies)]
    shown_for = Counter(copy.challenge_id for copy in copies)
    found += [
        Violation(
            f"copies[{at}].not_held", "say it once, and show no copy for the challenge with it"
        )
        for at, copy in enumerate(copies)
        if copy.content is None and shown_for[copy.challenge_id] > 1
    ]
    if found:
        raise invalid(*found[:_MOST_FAULTS])
    return copies


def _shown(index: int, message: pb.ShownCopy, found: list[Violation]) -> Shown:
    at = f"copies[{index}]"
    match = _CHALLENGE.fullmatch(message.challenge)
    if match is None:
        found.append(Violation(f"{at}.challenge", "use the name of a challenge, challenges/ID"))
    from_, until = message.disclosed_from.seconds, NO_END
    if message.not_held:
        if message.content or message.HasField("disclosed_from"):
            found.append(Violation(f"{at}.not_held", "leave content and period out with it"))
    elif not message.HasField("disclosed_from"):
        found.append(Violation(f"{at}.disclosed_from", "required: as you hold it"))
    else:
        found += instant_faults(f"{at}.disclosed_from", message.disclosed_from)
        if message.HasField("disclosed_until"):
            until = message.disclosed_until.seconds
            found += instant_faults(f"{at}.disclosed_until", message.disclosed_until)
    content = None if message.not_held else message.content
    return Shown(match[1] if match else "", content, from_, until)


def _page(page_size: int, token: str, filters: Filters, found: list[Violation]) -> Page:
    """Return the page asked for; raises Refused INVALID_REQUEST with what was ``found``."""
    before = id_of(token, filters)
    if not 0 <= page_size <= _MOST_LISTED:
        found.append(Violation("page_size", f"use 1 to {_MOST_LISTED}, or 0 for {_USUAL}"))
    if before is None:
        found.append(_TOKEN_FAULT)
    if found or before is None:
        raise invalid(*found)
    return Page(page_size or _USUAL, before, filters)
