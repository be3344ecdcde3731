"""What somebody keeps of a gateway to verify what it signed, without asking it again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from creditgate.transparency.note import VerifierKey
from gateway.demo.stage import Stage
from sdk.credentials import Credentials
from sdk.documents import document_keys
from sdk.log_keys import log_key


@dataclass(frozen=True, slots=True)
class Pinned:
    """Who the gateway is, the keys of its documents, and the key of its disclosure log."""

    issuer: str
    keys: Mapping[str, Any]
    log: VerifierKey

    @classmethod
    async def fetched(cls, stage: Stage) -> Self:
        """Fetch both keys once. Raises KeysUnavailable."""
        credentials = Credentials.load(stage.home.profile(stage.beta.party.client_id))
        keys = await asyncio.to_thread(document_keys, credentials)
        return cls(credentials.issuer, keys, await asyncio.to_thread(log_key, credentials))
