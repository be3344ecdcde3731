"""Uses sent to an HTTP endpoint as batches of CloudEvents.

Source: CloudEvents HTTP Protocol Binding 1.0.2, section 3.3 (batched content mode); RFC 6750
section 2.1 (bearer token).
"""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from gateway.exports.events import BATCH_TYPE, batch_of
from gateway.exports.follower import receiver_name
from gateway.exports.model import Use
from gateway.settle.usage import use_line_name

MOST_EVENTS: Final = 100
"""Events of one batch: receivers bound the size of a request."""
_SECONDS: Final = 5.0
_log = logging.getLogger(__name__)
_MOST_TOKEN_BYTES: Final = 8_192
_LATER: Final = frozenset({408, 425, 429})
_SERVER_ERRORS: Final = 500


class NotTaken(RuntimeError):
    """A receiver did not take a batch; the message has its status, never what it said."""


class EventEndpoint:
    """`gateway.exports.follower.Receiver`: posts batches to ``url``.

    ``token`` is a file with a bearer token, read anew for each step, so that it may be
    replaced; ``tls`` tells whose certificates the endpoint may show.
    A batch that is not taken (another status than 2xx) is sent again with the next step, and those
    of the same answer before it are not.
    """

    from_now = False
    at_once = MOST_EVENTS

    def __init__(self, url: str, issuer: str, token: Path | None, tls: ssl.SSLContext) -> None:
        self._url = url
        self._issuer = issuer
        self._token = token
        # Neither proxies nor credentials of the environment: what goes where is configured.
        self._client = httpx.Client(verify=tls, timeout=_SECONDS, trust_env=False)
        self._status = 0
        self._taken: dict[str, Use] = {}
        self.name = receiver_name("http", url)

    def take(self, uses: Sequence[Use], now: int) -> None:
        """Post uses. Raises NotTaken, OSError where the token cannot be read, and what httpx
        raises where the endpoint cannot be reached."""
        del now
        headers = {"Content-Type": BATCH_TYPE, **self._authorization()}
        # An answer of many lines is more than one batch, and is told anew as a whole.
        last = self._taken.get(uses[0].operator_id)
        first = uses.index(last) + 1 if last in uses else 0
        for start in range(first, len(uses), MOST_EVENTS):
            some = uses[start : start + MOST_EVENTS]
            batch = batch_of(some, self._issuer)
            with self._client.stream("POST", self._url, content=batch, headers=headers) as answer:
                self._tell(answer.status_code, some[0])
                if not answer.is_success:
                    raise NotTaken(f"{urlsplit(self._url).hostname} answers {answer.status_code}")
            self._taken[some[-1].operator_id] = some[-1]

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _tell(self, status: int, first: Use) -> None:
        """Tell of another status than before, once: what an endpoint refuses, it refuses often.
        ``first`` is that of the batch, by which whoever looks finds what was refused."""
        if status == self._status:
            return
        self._status = status
        if httpx.codes.is_success(status):
            _log.info("usage_export_url answers %d", status)
        elif status in _LATER or status >= _SERVER_ERRORS:
            _log.warning("usage_export_url answers %d: the batch is sent again", status)
        else:
            _log.error(
                "usage_export_url answers %d: it refuses the batch from %s on, and no use is"
                " exported there until it takes it",
                status,
                use_line_name(first.operator_id, first.usage_index, first.line),
            )

    def _authorization(self) -> dict[str, str]:
        if self._token is None:
            return {}
        with self._token.open("rb") as file:
            token = file.read(_MOST_TOKEN_BYTES).decode("ascii").strip()
        return {"Authorization": f"Bearer {token}"}
