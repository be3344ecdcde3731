"""What the consent that a use names opens: remembered, or read anew."""

import contextlib
from typing import Final

from consent.model import NAME_PREFIX
from creditgate.refusal import Refused
from gateway.authorise.consents import ConsentLookup
from gateway.authorise.gate import Passage
from gateway.authorise.opening import Opening, Openings
from gateway.respond.use import Use


class ConsentedUse:
    """Opens passages by the consents that uses name. What is remembered is good for serving only
    together with the ledger, which judges each answer by the consent as it stands; no refusal is
    made of it."""

    def __init__(self, consents: ConsentLookup) -> None:
        self._consents = consents
        self._openings = Openings()
        # Asked for each call: as `Openings.remembered`, by the consent's name.
        self.remembered: Final = self._openings.remembered

    async def opening(
        self, use: Use, passage: Passage, subjects: tuple[str, ...] | None, now: int
    ) -> Opening:
        """Return what the consent opens at ``now`` (seconds, UTC); raises as `Openings.opening`."""
        if (remembered := self._consents.remembered(use.consent, now)) is not None:
            with contextlib.suppress(Refused):
                return self._openings.opening(remembered, passage, subjects, use.purpose, now)
            self.forget(use)
        consent = await self._consents.of(use.consent, now)
        return self._openings.opening(consent, passage, subjects, use.purpose, now)

    def forget(self, use: Use) -> None:
        """Have the consent read anew."""
        self._consents.forget(use.consent.removeprefix(NAME_PREFIX))
        self._openings.forget(use.consent)
