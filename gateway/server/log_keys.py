"""The keys of an installation's logs."""

from urllib.parse import urlsplit

from gateway.installation.home import Home
from gateway.storage.engines import Engines
from gateway.transparency.identity import key_of_log
from gateway.transparency.keys import LogKey
from gateway.transparency.links import LogLinks
from gateway.transparency.routes import PREFIX
from gateway.transparency.salts import Salts
from gateway.transparency.tables import LogId


def log_key(
    home: Home, engines: Engines, log: LogId, issuer: str, salts: Salts | None = None
) -> LogKey:
    """Return the key of one of the installation's logs, which begins where there is none.

    Its origin is the URL it is served at, without the scheme (C2SP tlog-tiles), as that was
    when it began. Raises as `key_of_log`.
    """
    place = urlsplit(issuer.rstrip("/") + f"{PREFIX}/{log.path}")
    return key_of_log(
        engines.evidence, log, home.log_key(log.path), place.netloc + place.path, salts
    )


def log_links(engines: Engines, log: LogId, key: LogKey) -> LogLinks:
    """Return the keys before and after that of one of the installation's logs. Raises what the
    store raises."""
    return LogLinks(engines.evidence, log, key.verifier)
