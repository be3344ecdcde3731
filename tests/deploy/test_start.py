"""What deploy/ starts starts: the same commands and environment, in folders of their own."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from gateway.demo.ports import free_port
from tests.deploy.files import DEPLOY, manifests
from tests.deploy.places import Place, capless, certify, moved
from tests.stores import PostgresStores


def test_pod_is_set_up_and_serves_on_postgresql(
    postgres_stores: PostgresStores, bare: Path, tmp_path: Path
) -> None:
    certified = tmp_path / "etc"
    certify(certified)
    with postgres_stores.database(migrated=False) as (database, home):
        (certified / "settings" / "creditgate.toml").write_text(f'database = "{database}"\n')
        places = {"/etc/creditgate": certified, "/var/lib/creditgate": home}
        data = manifests()["ConfigMap", "creditgate-settings"]["data"]
        environment = {name: moved(value, places) for name, value in data.items()} | {
            "CREDITGATE_GRPC_PORT": str(free_port()),
            "CREDITGATE_HTTPS_PORT": str(free_port()),
            "PATH": os.environ["PATH"],
        }
        (setup,) = manifests()["Job", "creditgate-setup"]["spec"]["template"]["spec"]["containers"]
        place = Place(environment, bare)
        for _ in range(2):
            place.do(*(moved(word, places) for word in setup["args"]))
        shown = (
            f"--certificate={certified / 'administrator' / 'administrator.pem'}",
            f"--key={certified / 'probe.key'}",
        )
        with place.served(tmp_path / "log"):
            place.until_it_serves(*shown)


@pytest.mark.soak
def test_service_of_one_host_serves(bare: Path, tmp_path: Path) -> None:
    certified = tmp_path / "etc"
    certify(certified)
    unit = (DEPLOY / "systemd" / "creditgate@.service").read_text()
    (config,) = re.findall(r"^Environment=CREDITGATE_CONFIG=(.+)$", unit, re.M)
    settings = (DEPLOY / "systemd" / "creditgate.toml").read_text()
    for there, here in {
        "/etc/creditgate/server.pem": certified / "tls" / "tls.crt",
        "/etc/creditgate/server.key": certified / "tls" / "tls.key",
        "/etc/creditgate/clients-ca.pem": certified / "clients" / "ca.pem",
        "/var/lib/creditgate": tmp_path / "home",
    }.items():
        assert there in settings
        settings = settings.replace(there, str(here))
    placed = certified / Path(config).name
    placed.write_text(settings)
    assert "tls_key" in tomllib.loads(settings)
    environment = {
        "CREDITGATE_CONFIG": str(placed),
        "CREDITGATE_GRPC_PORT": str(free_port()),
        "CREDITGATE_HTTPS_PORT": str(free_port()),
        "PATH": os.environ["PATH"],
    }
    place = Place(environment, bare, capless())
    place.do(
        "init",
        f"--administrator-certificate={certified / 'administrator' / 'administrator.pem'}",
        f"--administrator-jwks={certified / 'administrator' / 'administrator.jwks.json'}",
    )
    with place.served(tmp_path / "log"):
        place.until_it_serves()
