"""Setting an installation up: what lies in its home already is used, by one at a time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import SecretStr

from gateway.clock import Clock, SystemClock
from gateway.config import GatewayConfig
from gateway.installation.bootstrap import ADMINISTRATOR, bootstrap
from gateway.installation.home import Home
from gateway.pki.development import stands
from gateway.pki.thumbprint import thumbprint_of_pem
from operators.authority import Authority
from operators.sql import SqlAuthorityLog
from sdk.credentials import Credentials
from tests.cli.commands import creditgate
from tests.clock import StandingClock
from tests.stores import PostgresStores, engines_of

SETTERS = 3
_YEARS = 2 * 366 * 86_400


def set_up(home: Path, database: str = "sqlite", clock: Clock | None = None) -> Credentials:
    """Set an installation up and return its administrator's credentials."""
    config = GatewayConfig(home=home, database=SecretStr(database))
    made = bootstrap(config, clock or SystemClock())
    return Credentials.load(made.profile(ADMINISTRATOR))


def is_known(credentials: Credentials, home: Path, database: str = "sqlite") -> bool:
    """Tell whether a store knows the administrator by these credentials."""
    with engines_of(database, home) as engines:
        authority = Authority.empty().advanced(SqlAuthorityLog(engines.authority).since(0))
    client = authority.clients[ADMINISTRATOR]
    shown = thumbprint_of_pem(credentials.certificate.read_bytes())
    return client.certificate_thumbprints == {shown}


def test_administrator_stays_one_when_the_home_is_set_up_for_another_store(
    tmp_path: Path, postgres_stores: PostgresStores
) -> None:
    first = set_up(tmp_path)
    with postgres_stores.database() as (database, _):
        second = set_up(tmp_path, database)
        assert is_known(second, tmp_path, database)
        assert second == first
    assert is_known(first, tmp_path)


def test_keys_by_which_nobody_could_connect_any_more_are_made_anew(
    tmp_path: Path, postgres_stores: PostgresStores
) -> None:
    set_up(tmp_path)
    later = StandingClock(SystemClock().now() + _YEARS)
    with postgres_stores.database() as (database, _):
        known = set_up(tmp_path, database, later)
        assert is_known(known, tmp_path, database)
    home = Home.at(tmp_path)
    issued = known.certificate, known.key
    assert stands(*(each.read_bytes() for each in issued), home.development_ca(), later.now())


def test_keys_that_are_not_whole_are_made_anew(
    tmp_path: Path, postgres_stores: PostgresStores
) -> None:
    set_up(tmp_path).key.unlink()
    with postgres_stores.database() as (database, _):
        known = set_up(tmp_path, database)
        assert known.key.exists()
        assert is_known(known, tmp_path, database)


def test_who_set_it_up_at_once_come_to_one_installation(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with ThreadPoolExecutor(SETTERS) as threads:
        ended = [threads.submit(creditgate, home, "init") for _ in range(SETTERS)]
    assert [each.result().status for each in ended] == [0] * SETTERS
    assert is_known(Credentials.load(Home.at(home).profile(ADMINISTRATOR)), home)
