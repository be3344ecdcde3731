"""The anchor's keys in a file of this region's, which may be changed while the gateway runs."""

import json
import logging
from pathlib import Path

from gateway.config import ConfigRefused
from gateway.federation.trust.statement import (
    JwkSet,
    StatementInvalid,
    require_federation_keys,
)

_log = logging.getLogger(__name__)


class AnchorFile:
    """`gateway.federation.trust.chain.Anchor` whose keys are those in a file; any thread.

    A key handed out besides is known as soon as the file has it. A file that cannot be used any more
    changes nothing. Raises ConfigRefused and OSError where it cannot be from the beginning.
    """

    def __init__(self, entity_id: str, file: Path) -> None:
        self.entity_id = entity_id
        self._file = file
        text = file.read_bytes()
        self._known = text, self._read(text)

    @property
    def keys(self) -> JwkSet:
        """The anchor's keys as they are now."""
        before, keys = self._known
        try:
            text = self._file.read_bytes()
        except OSError:
            text = b""
        if text != before:
            try:
                keys = self._read(text)
            except ConfigRefused as refused:
                _log.error("%s The keys from before are kept.", refused)
            self._known = text, keys
        return keys

    def _read(self, text: bytes) -> JwkSet:
        try:
            keys: JwkSet = json.loads(text)
            require_federation_keys(keys)
        except (StatementInvalid, ValueError, AttributeError) as error:
            raise ConfigRefused(
                f"federation_anchor_keys: {self._file} must hold the anchor's public keys (JWK Set),"
                " as `creditgate anchor keys --json` prints them."
            ) from error
        return keys
