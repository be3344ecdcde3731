"""The keys of an installation's logs."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.installation.home import Home
from gateway.storage.engines import Engines
from gateway.transparency.identity import key_of_log
from gateway.transparency.keys import LogKey
from gateway.transparency.links import LogLinks
from gateway.transparency.routes import PREFIX
from gateway.transparency.salts import Salts
from gateway.transparency.tables import LogId


class LogKeys:
    """The keys of the logs of an installation served at ``issuer``, and those before and after
    them: each is looked up once in a process, since none is changed while one runs. Calls block."""

    def __init__(self, home: Home, engines: Engines, issuer: str) -> None:
        self._home = home
        self._engines = engines
        self._issuer = issuer.rstrip("/")
        self._salts: Salts | None = None
        self._keys: dict[LogId, LogKey] = {}
        self._links: dict[LogId, LogLinks] = {}

    @property
    def salts(self) -> Salts:
        """The secret of the disclosure log and map. Raises OSError and ValueError where it cannot
        be read."""
        if self._salts is None:
            self._salts = Salts.kept_in(self._home.salts)
        return self._salts

    @property
    def known(self) -> Mapping[LogId, LogKey]:
        """The keys that were looked up so far, to which more may come."""
        return self._keys

    def of(self, log: LogId) -> LogKey:
        """Return the key of a log, which begins where there is none.

        Its origin is the URL it is served at, without the scheme (C2SP tlog-tiles), as that was
        when it began. Raises as `key_of_log`.
        """
        known = self._keys.get(log)
        if known is None:
            known = self._keys[log] = self._looked_up(log)
        return known

    def links(self, log: LogId) -> LogLinks:
        """Return the keys before and after that of a log. Raises as `of`."""
        known = self._links.get(log)
        if known is None:
            key = self.of(log).verifier
            known = self._links[log] = LogLinks(self._engines.evidence, log, key)
        return known

    def _looked_up(self, log: LogId) -> LogKey:
        place = urlsplit(self._issuer + f"{PREFIX}/{log.path}")
        return key_of_log(
            self._engines.evidence,
            log,
            self._home.log_key(log.path),
            place.netloc + place.path,
            self.salts if log is LogId.DISCLOSURE else None,
        )
