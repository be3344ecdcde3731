"""Consents that another region keeps, as this gateway writes them when they are shown to it."""

import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any, Final

from consent.changing import Act
from consent.histories import History
from consent.model import Actor, Consent
from creditgate.consent_artefact import ConsentArtefact
from creditgate.federated_query import region_client_id
from gateway.consents.artefact import artefact
from gateway.consents.rules import pinned
from gateway.federation.home.consents import KEPT
from gateway.federation.home.receipts import made_out
from gateway.federation.trust.book import Region
from tests.consents.receipts import ALPHA, granted
from tests.installation import OPERATOR_ID
from tests.subject.world import SHIPPED, World

REGION: Final = "https://one.example"


def region() -> Region:
    """Return the region, which goes by the usual operator here."""
    return Region(
        entity_id=REGION,
        operator_id=OPERATOR_ID,
        client_id=region_client_id(REGION),
        grpc=(),
        issuer=REGION,
        roots=b"",
        certificate_thumbprints=frozenset(),
        codes=("11",),
        log_keys={},
        jwks="",
        document_keys="",
        catalogue="",
        catalogue_version="",
        stands_until=0,
    )


def shown(world: World, **changed: Any) -> Consent:
    """Return a consent of `REGION`, written here as its receipt shows it first."""
    now = world.now
    there = granted(
        consent_id=f"{now:010x}-{secrets.token_hex(12)}",
        terms=pinned(SHIPPED, world.terms()),
        requested_at=now,
        granted_at=now,
        **changed,
    )
    claims = artefact(there, History(), REGION, now, ALPHA)
    payload = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    fields = {each.item: each.fields for each in there.terms.items}
    made = made_out(
        ConsentArtefact.model_validate(claims),
        # Who verified it before it was written knows by whom it was signed.
        f"e30.{payload}.c2ln",
        region(),
        {item: item for item in fields},
        fields.__getitem__,
    )
    return world.consents.add(made, Act(Actor.GATEWAY, made.client_id, KEPT, now))
