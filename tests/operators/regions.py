"""Regions of the authority log, with defaults that a test changes one by one."""

import json
from typing import Any

from gateway.pki.client_keys import make_assertion_key
from operators.regions import KnownRegion, RegionAdmission, region_client_id
from tests.clock import NOW

ENTITY = "https://east.example"
KEYS = make_assertion_key().jwks
THUMBPRINT = "A" * 43


def known(entity_id: str = ENTITY, **changed: Any) -> KnownRegion:
    """Return a region whose chain was verified."""
    fields: dict[str, Any] = {
        "entity_id": entity_id,
        "client_id": region_client_id(entity_id),
        "grpc": ("east.example:443",),
        "issuer": entity_id,
        "roots": "PEM",
        "certificate_thumbprints": {THUMBPRINT},
        "codes": ("31",),
        "log_keys": {"disclosure": "log+00000000+key"},
        "jwks": KEYS,
        "document_keys": json.dumps({"keys": []}),
        "catalogue": f"{entity_id}/catalogue",
        "revision": 5,
        "chain_digest": "0" * 64,
        "stands_until": NOW + 1_000,
        **changed,
    }
    return KnownRegion.model_validate(fields)


def admission(
    entity_id: str = ENTITY, operator_id: str = "alpha", **changed: Any
) -> RegionAdmission:
    """Return an admission that stands."""
    fields: dict[str, Any] = {
        "client_id": region_client_id(entity_id),
        "entity_id": entity_id,
        "operator_id": operator_id,
        "admitted_at": NOW,
        **changed,
    }
    return RegionAdmission.model_validate(fields)
