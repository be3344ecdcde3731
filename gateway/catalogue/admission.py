"""Admission: which drafts may enter the disclosure, and why others may not (G8). Pure."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate import uscc
from creditgate.v1.disclosure_service_pb2 import RecordDraft
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.catalogue.content import ContentRule
from gateway.catalogue.model import CatalogueItem
from gateway.catalogue.period import period_fault
from gateway.catalogue.personal import holds_identity_number, suspicious
from gateway.catalogue.rejection import Rejection, RejectionReason
from gateway.catalogue.subject import subject_type
from operators.shapes import END_OF_TIME, names_province

RECORD_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_REGION: Final = re.compile(r"[0-9]{6}")


class Admitted(NamedTuple):
    """A draft that may be disclosed. Times in seconds UTC; ``disclosed_until`` None
    where the item's rule has no end; ``digest`` is the SHA-256 of ``content``."""

    record_id: str
    subject: str
    item: str
    source: str
    region: str
    severity: Severity.ValueType
    content: bytes
    digest: bytes
    disclosed_from: int
    disclosed_until: int | None


class _ItemRule:
    """One catalogue item made ready to check many drafts."""

    __slots__ = ("content", "graded", "periods", "sources", "subject_types")

    def __init__(self, item: CatalogueItem) -> None:
        self.sources = frozenset(item.sources)
        self.subject_types = frozenset(item.subject_types)
        self.graded = item.graded
        self.periods = {rule.severity: rule for rule in item.period_rules}
        self.content = ContentRule(item.content_fields)


class AdmissionRules:
    """The rules of one state of the catalogue: make one for each, since items are prepared
    once and drafts come by the million."""

    def __init__(self, catalogue: Mapping[str, CatalogueItem]) -> None:
        self._items = {code: _ItemRule(item) for code, item in catalogue.items()}

    def admit(
        self, draft: RecordDraft, now: int, first_start: int | None = None, kept_region: str = ""
    ) -> Admitted | Rejection:
        """Return ``draft`` ready for disclosure, or the first reason against it.

        ``now`` in seconds UTC; ``first_start`` as `period_fault` has it. Periods that start later
        or are over already may enter: they are not served outside themselves (G2).
        ``kept_region`` is the region that the record is disclosed with, "" for a new one: no
        rule that came later keeps it from being corrected.
        """
        record_id, subject, region = draft.record_id, draft.subject, draft.region
        if RECORD_ID.fullmatch(record_id) is None:
            return Rejection(RejectionReason.RECORD_ID_INVALID, "record_id")
        # Numbers of other kinds than these, with a check of their own, are ids in good faith.
        if suspicious(record_id) and holds_identity_number(record_id, subject):
            return Rejection(RejectionReason.PERSONAL_DATA, "record_id")
        if (fault := uscc.fault(subject)) is not None:
            return Rejection(RejectionReason[fault], "subject")
        rule = self._items.get(draft.item)
        if rule is None:
            return Rejection(RejectionReason.ITEM_UNKNOWN, "item")
        if draft.source not in rule.sources:
            return Rejection(RejectionReason.SOURCE_NOT_LISTED, "source")
        if region != kept_region and not (_REGION.fullmatch(region) and names_province(region)):
            return Rejection(RejectionReason.REGION_INVALID, "region")
        if subject_type(subject) not in rule.subject_types:
            return Rejection(RejectionReason.SUBJECT_TYPE_NOT_ALLOWED, "subject")
        severity = draft.severity
        period_rule = rule.periods.get(severity)
        if period_rule is None:
            missing = rule.graded and severity == Severity.SEVERITY_UNSPECIFIED
            return Rejection(
                RejectionReason.SEVERITY_REQUIRED
                if missing
                else RejectionReason.SEVERITY_NOT_ALLOWED,
                "severity",
            )
        if not draft.HasField("disclosed_from"):
            return Rejection(RejectionReason.DISCLOSED_FROM_REQUIRED, "disclosed_from")
        start = _seconds(draft.disclosed_from)
        if start is None:
            return Rejection(RejectionReason.DISCLOSED_FROM_INVALID, "disclosed_from")
        end = None
        if draft.HasField("disclosed_until"):
            end = _seconds(draft.disclosed_until)
            if end is None:
                return Rejection(RejectionReason.DISCLOSED_UNTIL_INVALID, "disclosed_until")
        content = draft.content
        rejection = period_fault(period_rule, start, end, now, first_start) or rule.content.fault(
            content, subject
        )
        if rejection is not None:
            return rejection
        return Admitted(
            record_id,
            subject,
            draft.item,
            draft.source,
            region,
            severity,
            content,
            sha256(content).digest(),
            start,
            end,
        )


def _seconds(time: Timestamp) -> int | None:
    """Return a time in whole seconds, None for one that is none or stands for "no end"."""
    seconds = time.seconds
    return seconds if 0 <= seconds < END_OF_TIME and not time.nanos else None
