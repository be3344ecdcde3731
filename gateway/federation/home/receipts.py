"""Receipts of consents that another region granted, read and made out for this one.

A consent holds here as far as its receipt says so, under the region's own key: for the
operator it names, within its regions, for the items that stand for those it names, and of
them the fields that this region's catalogue declares under the same names.
Source: ISO/IEC TS 27560:2023 for the receipt; Personal Information Protection Law, article 14
(consent is specific).
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from typing import Final

from pydantic import ValidationError

from consent.model import (
    NAME_PREFIX,
    RECORDS,
    Consent,
    ConsentItem,
    ConsentNotice,
    ConsentTerms,
)
from consent.states import GRANTED
from creditgate.consent_artefact import (
    ACCESS_MODES,
    ANSWER_FORMS,
    DATA_LIFE_ENDS,
    ArtefactTerms,
    ConsentArtefact,
)
from creditgate.federated_query import consent_elsewhere
from creditgate.refusal import Refused
from creditgate.signed_document import PURPOSES
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.trust.book import Region
from operators.shapes import common_regions
from sdk.documents import DocumentRefused, KeysUnavailable, read_keys
from sdk.receipts import verified_receipt

MOST_CHARACTERS: Final = 262_144
"""Longest receipt that is read (QueryRecordsRequest.consent_receipt)."""
MOST_APART_SECONDS: Final = 360
"""How far the clocks of two regions may be apart."""
_TIME_DIGITS: Final = 10
_REQUEST_PREFIX: Final = "region:"
_MOST_REMEMBERED: Final = 256
_Numbers = Mapping[str, int]


def _numbers(names: Mapping[int, str]) -> _Numbers:
    return {name: number for number, name in names.items()}


_PURPOSES: Final = _numbers(PURPOSES)
_ANSWER_FORMS: Final = _numbers(ANSWER_FORMS)
_ACCESS_MODES: Final = _numbers(ACCESS_MODES)
_DATA_LIFE_ENDS: Final = _numbers(DATA_LIFE_ENDS)


class ForeignReceipts:
    """Reads receipts; one event loop's own. What was verified is remembered (bounded)."""

    def __init__(self) -> None:
        self._verified: OrderedDict[bytes, ConsentArtefact] = OrderedDict()

    def read(self, receipt: str, region: Region) -> ConsentArtefact:
        """Return what ``receipt`` says where ``region`` signed it.

        Raises Refused CONSENT_UNKNOWN where it did not.
        """
        if len(receipt) > MOST_CHARACTERS:
            raise _unknown()
        # With the keys: a key that its trust chain no longer has signs nothing any more.
        name = sha256(
            "\n".join((region.entity_id, region.document_keys, receipt)).encode()
        ).digest()
        known = self._verified.get(name)
        if known is not None:
            self._verified.move_to_end(name)
            return known
        try:
            keys = read_keys(region.document_keys.encode())
            artefact = verified_receipt(receipt, keys, region.entity_id).document
        except (DocumentRefused, KeysUnavailable):
            raise _unknown() from None
        self._verified[name] = artefact
        if len(self._verified) > _MOST_REMEMBERED:
            self._verified.popitem(last=False)
        return artefact


def require_covers(artefact: ConsentArtefact, operator_id: str, codes: frozenset[str]) -> None:
    """Raise Refused unless the consent was given to ``operator_id``, by its id in its region,
    and reaches a region that is home of ``codes``.

    CONSENT_UNKNOWN, CONSENT_EXCEEDED.
    """
    if artefact.operator_id != operator_id:
        raise _unknown()
    if not common_regions(frozenset(artefact.terms.regions), codes):
        raise _exceeded("regions")
    if artefact.terms.answer_form != ANSWER_FORMS[RECORDS]:
        raise _exceeded("answer_form")


def require_time(artefact: ConsentArtefact, now: int) -> None:
    """Raise Refused CONSENT_UNKNOWN for a consent of a time to come at ``now`` (seconds, UTC), or
    named by none: lists are in the order of those times, and it would stand before all others."""
    try:
        named_at = int(artefact.consent.removeprefix(NAME_PREFIX)[:_TIME_DIGITS], 16)
    except ValueError:
        raise _unknown() from None
    if max(named_at, artefact.requested_at, artefact.granted_at) > now + MOST_APART_SECONDS:
        raise _unknown()


def require_whole(
    artefact: ConsentArtefact,
    public: Collection[str],
    counterparts: Mapping[str, str],
    declared: Callable[[str], frozenset[str]],
) -> None:
    """Raise Refused CONSENT_EXCEEDED where the consent opens less of an item that is ``public`` here
    than everybody is given: a record is cut, and proved cut, of protected items alone, and the
    asking region may pass no more on than was consented to. Nothing is metered for it.

    ``counterparts`` and ``declared`` as for `made_out`.
    """
    for each in artefact.terms.items:
        own = counterparts.get(each.item)
        if own is not None and own in public and not declared(own) <= frozenset(each.fields):
            raise _exceeded("items")


def made_out(
    artefact: ConsentArtefact,
    receipt: str,
    region: Region,
    counterparts: Mapping[str, str],
    declared: Callable[[str], frozenset[str]],
) -> Consent:
    """Return the consent as it holds here, for the operator that ``region`` is here.

    ``counterparts`` gives this region's item for one of the other's, ``declared`` the fields
    that this region's catalogue declares of an item. Raises Refused CONSENT_EXCEEDED where
    nothing it opens is here, CONSENT_UNKNOWN where it says what no consent can.
    """
    items = tuple(
        ConsentItem(item=own, fields=fields)
        for each in artefact.terms.items
        if (own := counterparts.get(each.item)) is not None
        and (fields := frozenset(each.fields) & declared(own))
    )
    if not items:
        raise _exceeded("items")
    try:
        name = consent_elsewhere(region.entity_id, artefact.consent)
        return _consent(artefact, receipt, region, items, name.removeprefix(NAME_PREFIX))
    except (ValidationError, ValueError):
        # By its type alone: the message could repeat what the receipt holds.
        raise _unknown() from None


def _consent(
    artefact: ConsentArtefact,
    receipt: str,
    region: Region,
    items: tuple[ConsentItem, ...],
    consent_id: str,
) -> Consent:
    return Consent(
        consent_id=consent_id,
        version=1,
        state=GRANTED,
        subject=artefact.subject,
        operator_id=region.operator_id,
        client_id=region.client_id,
        request_id=_REQUEST_PREFIX + consent_id,
        way=artefact.way,
        terms=_terms(artefact.terms, items),
        message=artefact.message,
        language=artefact.language,
        requested_at=artefact.requested_at,
        answer_until=artefact.granted_at,
        changed_at=artefact.granted_at,
        # No signer: it was not given here, and this gateway signs no receipt of it.
        notice=ConsentNotice.model_validate(artefact.notice.model_dump()),
        granted_at=artefact.granted_at,
        receipt=receipt,
    )


def _terms(terms: ArtefactTerms, items: tuple[ConsentItem, ...]) -> ConsentTerms:
    return ConsentTerms(
        items=items,
        purposes=frozenset(_PURPOSES[name] for name in terms.purposes),
        answer_form=_ANSWER_FORMS[terms.answer_form],
        access_mode=_ACCESS_MODES[terms.access_mode],
        times_per_day=terms.times_per_day,
        valid_from=terms.validity.start,
        valid_until=terms.validity.until,
        data_life_seconds=terms.data_life,
        data_life_end=_DATA_LIFE_ENDS[terms.data_life_end],
        regions=frozenset(terms.regions),
    )


def _unknown() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_CONSENT_UNKNOWN,
        "The receipt is no receipt, of the asking region, of a consent given to this operator.",
    )


def _exceeded(field: str) -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_CONSENT_EXCEEDED,
        "The consent does not reach this region, or nothing that it covers is here; ask the"
        " subject for more.",
        metadata={"field": field},
    )
