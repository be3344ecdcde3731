"""Setting an installation up: what lies in its home already is used, by one at a time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey
from pydantic import SecretStr
from sqlalchemy import text

from gateway.clock import Clock, SystemClock
from gateway.config import ConfigRefused, GatewayConfig
from gateway.installation.bootstrap import (
    ADMINISTRATOR,
    AdministratorKeys,
    NoAdministrator,
    bootstrap,
)
from gateway.installation.home import Home
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import stands
from gateway.pki.thumbprint import thumbprint_of_pem
from gateway.storage.migrate import TURN
from operators.authority import Authority
from operators.sql import SqlAuthorityLog
from sdk.credentials import Credentials
from tests.clock import StandingClock
from tests.stores import PostgresStores, engines_of

_YEARS = 2 * 366 * 86_400
_A_WHILE = 0.5


def set_up(
    home: Path,
    database: str = "sqlite",
    clock: Clock | None = None,
    given: AdministratorKeys | None = None,
) -> Credentials:
    """Set an installation up and return its administrator's credentials."""
    config = GatewayConfig(home=home, database=SecretStr(database))
    made = bootstrap(config, clock or SystemClock(), given)
    return Credentials.load(made.profile(ADMINISTRATOR))


def is_known(credentials: Credentials, home: Path, database: str = "sqlite") -> bool:
    """Tell whether a store knows the administrator by these credentials."""
    with engines_of(database, home) as engines:
        authority = Authority.empty().advanced(SqlAuthorityLog(engines.authority).since(0))
    client = authority.clients[ADMINISTRATOR]
    shown = thumbprint_of_pem(credentials.certificate.read_bytes())
    return client.certificate_thumbprints == frozenset({shown})


def test_a_home_that_cannot_be_made_is_told_by_its_setting(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    for home in (in_the_way, in_the_way / "home"):
        with pytest.raises(ConfigRefused, match=f"home: the folder {home} cannot be made"):
            set_up(home)


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
    certificate, key = known.certificate.read_bytes(), known.key.read_bytes()
    assert stands(certificate, key, home.development_ca(), later.now())


def of_another_kind(file: Path) -> None:
    """Put a key there that may sign assertions, and is not made here."""
    file.write_bytes(OKPKey.generate_key("Ed25519").as_pem(private=True))


def unreadable(file: Path) -> None:
    """Put there what cannot be read, as another user's key cannot."""
    file.symlink_to(file)


@pytest.mark.parametrize(
    ("put", "told"), [(of_another_kind, NoAdministrator), (unreadable, OSError)]
)
def test_keys_that_were_not_made_here_are_not_replaced(
    tmp_path: Path,
    postgres_stores: PostgresStores,
    put: Callable[[Path], None],
    told: type[Exception],
) -> None:
    first = set_up(tmp_path)
    first.signing_key.unlink()
    put(first.signing_key)
    with postgres_stores.database() as (database, _):
        with pytest.raises(told):
            set_up(tmp_path, database)
        given = AdministratorKeys(first.certificate.read_bytes(), make_assertion_key().jwks)
        set_up(tmp_path, database, given=given)
        assert is_known(first, tmp_path, database)
    assert is_known(first, tmp_path)


def test_keys_that_are_not_whole_are_made_anew(
    tmp_path: Path, postgres_stores: PostgresStores
) -> None:
    set_up(tmp_path).key.unlink()
    with postgres_stores.database() as (database, _):
        known = set_up(tmp_path, database)
        assert known.key.exists()
        assert is_known(known, tmp_path, database)


def test_who_sets_it_up_waits_for_who_is_at_it(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    with ThreadPoolExecutor(1) as thread:
        with home.alone():
            setting = thread.submit(set_up, tmp_path)
            wait([setting], _A_WHILE)
            assert not home.ca.exists()
        assert is_known(setting.result(), tmp_path)


def test_who_waits_for_the_store_keeps_nobody_from_the_home(
    tmp_path: Path, postgres_stores: PostgresStores
) -> None:
    home = Home.at(tmp_path)
    with (
        ThreadPoolExecutor(2) as threads,
        postgres_stores.database(migrated=False) as (database, _),
        engines_of(database, tmp_path) as engines,
        engines.authority.connect() as migrating,
    ):
        migrating.execute(text(f"SELECT pg_advisory_lock({TURN})"))
        setting = threads.submit(set_up, tmp_path, database)
        while not home.ca.exists():
            assert not wait([setting], _A_WHILE / 10).done
        # As a process of the former version starts, whose schema is there.
        starting = threads.submit(_alone, home)
        held = wait([starting], 20 * _A_WHILE).done
        assert not setting.done()
        migrating.invalidate()
        assert held
        assert is_known(setting.result(), tmp_path, database)


def _alone(home: Home) -> None:
    with home.alone():
        pass
