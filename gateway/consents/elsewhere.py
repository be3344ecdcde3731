"""Who keeps a consent that is kept in another region, as its receipt tells. Pure."""

import json
from base64 import urlsafe_b64decode
from typing import Final, NamedTuple

from pydantic import ValidationError

from consent.model import Consent
from creditgate.consent_artefact import ConsentArtefact
from creditgate.federated_query import region_client_id

_SCHEME: Final = "https://"


class Keeper(NamedTuple):
    """The region that keeps a consent (its entity identifier), its name there, whom it was given to
    there, and the page where the subject sees it and takes it back, below the region's own
    address."""

    region: str
    consent: str
    operator_name: str
    page: str

    @property
    def address(self) -> str:
        """The region's address as people read it."""
        return self.region.removeprefix(_SCHEME)


def keeper_of(consent: Consent) -> Keeper | None:
    """Return who keeps ``consent``; None for one kept here, and where that is not known.

    Its receipt was verified before it was written.
    """
    if not consent.kept_elsewhere or not consent.receipt:
        return None
    try:
        payload = consent.receipt.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        told = ConsentArtefact.model_validate(claims)
    except (IndexError, ValueError, ValidationError):
        return None
    region = told.iss.rstrip("/")
    if region_client_id(told.iss) != consent.client_id or not region.startswith(_SCHEME):
        return None
    page = told.withdraw_at
    # Nobody is sent to a page that is not the region's.
    page = page if page.startswith(f"{region}/") else region
    return Keeper(told.iss, told.consent, told.operator_name, page)
