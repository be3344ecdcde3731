"""Looking up consents that calls name."""

import asyncio
from typing import Final

from consent.model import Consent
from consent.sql import SqlConsents
from consent.states import GRANTED

_MOST_REMEMBERED: Final = 4_096
_PREFIX: Final = "consents/"


class ConsentLookup:
    """Finds consents by name; remembers those granted (bounded). Used from one event loop.

    What is remembered may have changed meanwhile: it is good for refusing, and for serving
    only together with the ledger, which judges each answer by the consent as it stands.
    """

    def __init__(self, consents: SqlConsents) -> None:
        self._consents = consents
        self._granted: dict[str, Consent] = {}

    async def of(self, name: str) -> Consent | None:
        """Return the consent of a resource name "consents/{id}"; None where there is none."""
        consent_id = name.removeprefix(_PREFIX)
        consent = self._granted.get(consent_id)
        if consent is None:
            consent = await asyncio.to_thread(self._consents.get, consent_id)
            if consent is not None and consent.state == GRANTED:
                if len(self._granted) >= _MOST_REMEMBERED:
                    self._granted.clear()
                self._granted[consent_id] = consent
        return consent

    def forget(self, consent_id: str) -> None:
        """Read a consent anew when it is asked for next."""
        self._granted.pop(consent_id, None)
