"""Checks on what regions send, before anything is decided or looked up."""

import re
from typing import Final

from creditgate.refusal import Violation, invalid
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest
from gateway.federation.home.licence import MOST_CHARACTERS as MOST_CREDENTIAL
from gateway.federation.home.receipts import MOST_CHARACTERS as MOST_RECEIPT
from gateway.respond.request import request_id_faults

MOST_SUBJECTS: Final = 10_000
_VERSION: Final = re.compile(r"[\x21-\x7e]{1,64}")
_DECISION: Final = re.compile(r"decisions/[A-Za-z0-9._~-]{1,100}")


def require_well_formed(request: QueryRecordsRequest, asking_region: str) -> None:
    """Raise INVALID_REQUEST unless what a query has besides a batch is well formed.

    ``asking_region`` is the entity identifier of the region that calls. Subjects and items are
    checked with the batch it stands for.
    """
    # What is asked is kept by the request's id before that.
    faults = request_id_faults(request.request_id, of_region=True)
    if request.asking_region != asking_region:
        faults.append(Violation("asking_region", "name your own region's entity identifier"))
    if not 0 < len(request.licence_credential) <= MOST_CREDENTIAL:
        faults.append(
            Violation("licence_credential", f"required, of at most {MOST_CREDENTIAL} characters")
        )
    if len(request.subjects) > MOST_SUBJECTS:
        faults.append(Violation("subjects", f"at most {MOST_SUBJECTS} in one query"))
    if not request.items:
        faults.append(Violation("items", "name at least one of this region's catalogue items"))
    if len(request.consent_receipt) > MOST_RECEIPT:
        faults.append(Violation("consent_receipt", f"at most {MOST_RECEIPT} characters"))
    if _VERSION.fullmatch(request.mapping_version) is None:
        faults.append(Violation("mapping_version", "required: 1 to 64 visible ASCII characters"))
    if _DECISION.fullmatch(request.asking_decision_id) is None:
        faults.append(Violation("asking_decision_id", "required: must read decisions/{id}"))
    if request.most_chunks < 0:
        faults.append(Violation("most_chunks", "0 for all, or how many chunks at most"))
    if faults:
        raise invalid(*faults)
