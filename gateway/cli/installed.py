"""The installation that a command on the gateway's own host works on: it must be there already."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gateway.cli.failures import CommandFailed

if TYPE_CHECKING:
    from gateway.config import GatewayConfig
    from gateway.installation.home import Home
    from gateway.storage.engines import Engines

    Opener = Callable[[str, Path], Engines]


class Installed(NamedTuple):
    """An installation, its stores open."""

    settings: "GatewayConfig"
    home: "Home"
    engines: "Engines"


@contextmanager
def installed(config: Path | None, opener: "Opener | None" = None) -> Generator[Installed]:
    """Give the installation that is configured, its stores opened by ``opener``, which is
    `open_engines` unless said otherwise. Raises ConfigRefused, and CommandFailed where there is
    none, of which nothing is made then."""
    from gateway.config import GatewayConfig
    from gateway.storage.engines import open_engines

    settings = GatewayConfig.load(config)
    home = require_home(settings)
    engines = (opener or open_engines)(settings.database.get_secret_value(), home.root)
    try:
        yield Installed(settings, home, engines)
    finally:
        engines.dispose()


def require_home(settings: "GatewayConfig") -> "Home":
    """Return the home that is configured. Raises CommandFailed where there is none, which has no keys
    and, where the stores are SQLite's, not those: a folder on which nothing is mounted is none."""
    from gateway.installation.home import Home
    from gateway.storage.engines import sqlite_files

    home = Home.at(settings.home)
    needed = [home.keys]
    if settings.database.get_secret_value() == "sqlite":
        needed = [*sqlite_files(home.root).values()]
    missing = [path for path in needed if not path.exists()]
    if len(missing) == len(needed):
        raise CommandFailed(
            f"There is no home of an installation at {home.root}: CREDITGATE_HOME, or `home` in the"
            " file that --config names, says where it is; `creditgate init` sets one up."
        )
    if missing:
        names = ", ".join(path.name for path in missing)
        raise CommandFailed(f"{names} missing in {home.root}: restore the stores from a copy.")
    return home
