"""Listings of consents and accesses: what is asked for, checked, and where pages end."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from creditgate import uscc
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import audit_service_pb2 as audit_pb
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.consents.accesses import Period, Place
from gateway.consents.request import consent_id_of
from gateway.instants import period_of
from gateway.settle.paging import Filters, id_of, page_token

_MOST_LISTED: Final = 200
_USUAL_LISTED: Final = 50
_MOST_STEPS: Final = 1_000
_USUAL_STEPS: Final = 100
_PLACE: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")
_STEP: Final = re.compile(r"([0-9]{1,18}):([0-9]{1,18})-([0-9]{1,9}):([0-9]{1,18}):([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class ConsentsAsked:
    """Which of an operator's consents are asked for: "" and 0 narrow nothing.

    ``before`` is the id an earlier page ended at.
    """

    operator_id: str
    subject: str
    state: ConsentState.ValueType
    page_size: int
    before: str

    def token(self, end: str) -> str:
        """Return the token of the page after the consent of id ``end``."""
        return page_token(end, _consent_filters(self.operator_id, self.subject, self.state))


@dataclass(frozen=True, slots=True)
class AccessesAsked:
    """Which accesses are asked for: "" narrows nothing; ``before`` is where an earlier
    page ended."""

    operator_id: str
    consent_id: str
    subject: str
    period: Period
    page_size: int
    before: Place | None

    def token(self, end: Place | None) -> str:
        """Return the token of the page that begins before ``end``; "" for None."""
        if end is None:
            return ""
        return page_token(f"{end.sequence}-{end.number}", self._filters)

    @property
    def _filters(self) -> Filters:
        return _access_filters(self.operator_id, self.consent_id, self.subject, self.period)


class TracePlace(NamedTuple):
    """How far a trace was told: the last change, answer and refused call, and until when the
    data life was of what the last removal told was about.

    ``answer`` has the number 0 for the decision to answer, and one more than their own for
    the records that follow it.
    """

    change: int = 0
    answer: Place = Place(0, 0)
    refusal: int = 0
    removal: int = 0


@dataclass(frozen=True, slots=True)
class TraceAsked:
    """Which steps of a consent are asked for: those after a place."""

    consent_id: str
    period: Period
    page_size: int
    after: TracePlace

    def token(self, end: TracePlace) -> str:
        """Return the token of the page after a place."""
        change, answer, refusal, removal = end
        filters = _trace_filters(self.consent_id, self.period)
        return page_token(
            f"{change}:{answer.sequence}-{answer.number}:{refusal}:{removal}", filters
        )


def consents_asked(request: pb.ListConsentsRequest, caller: Caller) -> ConsentsAsked:
    """Return what a ListConsents call asks for.

    Raises Refused INVALID_REQUEST; SCOPE_NOT_GRANTED for another operator's.
    """
    if request.operator_id not in {"", caller.operator_id}:
        raise Refused(
            RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
            "An operator sees only its own consents: leave operator_id empty.",
        )
    filters = _consent_filters(caller.operator_id, request.subject, request.state)
    before = id_of(request.page_token, filters)
    found = [
        *_subject_faults(request.subject),
        *_page_faults(request.page_size, _MOST_LISTED, _USUAL_LISTED),
        *_token_faults(before),
    ]
    if request.state not in ConsentState.values():
        found.append(Violation("state", "use a state of the enum ConsentState"))
    if found or before is None:
        raise invalid(*found)
    return ConsentsAsked(
        caller.operator_id,
        request.subject,
        request.state,
        request.page_size or _USUAL_LISTED,
        before,
    )


def accesses_asked(request: pb.ListAccessesRequest, caller: Caller) -> AccessesAsked:
    """Return what a ListAccesses call asks for; raises Refused INVALID_REQUEST."""
    found = _subject_faults(request.subject)
    consent_id = consent_id_of("consent", request.consent) if request.consent else ""
    if not consent_id and not request.subject:
        found.append(Violation("subject", "name the subject, or a consent"))
    period = Period(*period_of("period", request.period, found))
    filters = _access_filters(caller.operator_id, consent_id, request.subject, period)
    end = id_of(request.page_token, filters)
    before = _PLACE.fullmatch(end) if end else None
    found += _page_faults(request.page_size, _MOST_LISTED, _USUAL_LISTED)
    found += _token_faults(before if end else end)
    if found:
        raise invalid(*found)
    return AccessesAsked(
        caller.operator_id,
        consent_id,
        request.subject,
        period,
        request.page_size or _USUAL_LISTED,
        None if before is None else Place(int(before[1]), int(before[2])),
    )


def trace_asked(request: audit_pb.TraceConsentRequest) -> TraceAsked:
    """Return what a TraceConsent call asks for; raises Refused INVALID_REQUEST."""
    consent_id = consent_id_of("consent", request.consent)
    found = _page_faults(request.page_size, _MOST_STEPS, _USUAL_STEPS)
    if request.known_tree_size < 0:
        found.append(Violation("known_tree_size", "use a tree size, or 0"))
    period = Period(*period_of("period", request.period, found))
    end = id_of(request.page_token, _trace_filters(consent_id, period))
    after = _STEP.fullmatch(end or "0:0-0:0:0")
    found += _token_faults(None if end is None else after)
    if found or after is None:
        raise invalid(*found)
    return TraceAsked(
        consent_id,
        period,
        request.page_size or _USUAL_STEPS,
        TracePlace(
            int(after[1]),
            Place(int(after[2]), int(after[3])),
            int(after[4]),
            int(after[5]),
        ),
    )


def _consent_filters(operator_id: str, subject: str, state: int) -> Filters:
    return "consents", operator_id, subject, state


def _access_filters(operator_id: str, consent_id: str, subject: str, period: Period) -> Filters:
    return "accesses", operator_id, consent_id, subject, *period


def _trace_filters(consent_id: str, period: Period) -> Filters:
    return "trace", consent_id, *period


def _subject_faults(subject: str) -> list[Violation]:
    if not subject or uscc.fault(subject) is None:
        return []
    return [Violation("subject", "use a unified social credit code (GB 32100-2015)")]


def _page_faults(page_size: int, most: int, usual: int) -> list[Violation]:
    if 0 <= page_size <= most:
        return []
    return [Violation("page_size", f"use 1 to {most}, or 0 for {usual}")]


def _token_faults(known: object) -> list[Violation]:
    """Return what is wrong with a page token that stands for ``known``, None for nothing."""
    if known is not None:
        return []
    return [
        Violation("page_token", "use the next_page_token of an earlier page of the same request")
    ]
