"""Looking up consents that calls name."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from consent.model import NAME_PREFIX, Consent
from consent.sql import SqlConsents
from consent.states import GRANTED, is_over

_MOST_REMEMBERED: Final = 4_096
_THREADS: Final = 2


class ConsentLookup:
    """Finds consents by name; remembers those granted (bounded). Used from one event loop.

    What is remembered may have changed meanwhile: it is good for refusing, and for serving
    only together with the ledger, which judges each answer by the consent as it stands.
    """

    def __init__(self, consents: SqlConsents) -> None:
        self._consents = consents
        # With the instant at which time alone ends each.
        self._granted: dict[str, tuple[Consent, int]] = {}
        # Threads of their own: serving never waits for what else a process is asked for.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="consent-lookup")

    def close(self) -> None:
        """End the threads; nothing is looked up any more."""
        self._threads.shutdown(cancel_futures=True)

    def remembered(self, name: str, now: int) -> Consent | None:
        """Return as `of` what need not be read; None where it has to be."""
        known = self._granted.get(name.removeprefix(NAME_PREFIX))
        return known[0] if known is not None and now < known[1] else None

    async def of(self, name: str, now: int) -> Consent | None:
        """Return the consent of a resource name "consents/{id}"; None where there is none.

        One whose time is over at ``now`` (seconds, UTC) is written as that first: what was
        refused for it stays refused when the clock is set back.
        """
        if (remembered := self.remembered(name, now)) is not None:
            return remembered
        consent_id = name.removeprefix(NAME_PREFIX)
        loop = asyncio.get_running_loop()
        consent = await loop.run_in_executor(self._threads, self._read, consent_id, now)
        self.forget(consent_id)
        if consent is not None and consent.state == GRANTED:
            if len(self._granted) >= _MOST_REMEMBERED:
                self._granted.clear()
            self._granted[consent_id] = (consent, consent.terms.valid_until)
        return consent

    def forget(self, consent_id: str) -> None:
        """Read a consent anew when it is asked for next."""
        self._granted.pop(consent_id, None)

    def _read(self, consent_id: str, now: int) -> Consent | None:
        consent = self._consents.get(consent_id)
        if consent is None or not is_over(consent, now):
            return consent
        return self._consents.settle(consent_id, now)
