"""Headers for the collector that cannot be sent are refused at start, and no log holds a secret of theirs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config import ConfigRefused, GatewayConfig
from gateway.telemetry.collector_headers import (
    HEADER_VARIABLES,
    require_collector_headers,
    secrets_of_headers,
)
from tests.cli.commands import creditgate_here

SECRET = "S3CRETTOKEN"
NOBODY = "http://127.0.0.1:1"
CANNOT_BE_SENT = (
    f"Authorization: Bearer {SECRET}",
    f"authorization=Bearer%0A{SECRET}",
    f"authorization=%E4%BD%A0{SECRET}",
    f'authorization=Bearer "{SECRET}"',
    f"x!y={SECRET}",
    f"x%3Ay={SECRET}",
    f"key-bin={SECRET}",
    f"x-tenant=1,{SECRET}",
)
CAN_BE_SENT = (
    "",
    f"authorization=Bearer%20{SECRET}",
    f"Authorization=Bearer {SECRET}==, x-tenant=1,",
)
# A process of its own, as the gateway's are: what libraries log goes to its standard error.
EXPORTING = """
import sys
from gateway.telemetry.logs import log_to_stderr
from gateway.telemetry.telemetry import open_telemetry

log_to_stderr("debug")
telemetry = open_telemetry(sys.argv[1])
with telemetry.traces.call("S/Get", {}):
    pass
telemetry.close()
"""


def _sends(home: Path) -> GatewayConfig:
    return GatewayConfig(home=home, otlp_endpoint=NOBODY)


@pytest.mark.parametrize("variable", HEADER_VARIABLES)
@pytest.mark.parametrize("headers", CANNOT_BE_SENT)
def test_headers_that_cannot_be_sent_are_refused_by_the_variable_and_without_the_value(
    tmp_path: Path, variable: str, headers: str
) -> None:
    with pytest.raises(ConfigRefused) as refused:
        require_collector_headers(_sends(tmp_path), {variable: headers})
    assert f"  {variable}: " in str(refused.value)
    assert SECRET not in str(refused.value)
    require_collector_headers(GatewayConfig(home=tmp_path), {variable: headers})


@pytest.mark.parametrize("headers", CAN_BE_SENT)
def test_headers_that_can_be_sent_are_taken(tmp_path: Path, headers: str) -> None:
    require_collector_headers(_sends(tmp_path), dict.fromkeys(HEADER_VARIABLES, headers))


def test_a_gateway_does_not_start_with_headers_that_cannot_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HEADER_VARIABLES[0], CANNOT_BE_SENT[0])
    done = creditgate_here(tmp_path / "home", "serve", otlp_endpoint=NOBODY)
    assert done.status == 1
    assert HEADER_VARIABLES[0] in done.told
    assert SECRET not in done.told
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("headers", [*CANNOT_BE_SENT, *CAN_BE_SENT])
def test_what_libraries_log_holds_no_secret_of_the_headers(headers: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXPORTING, NOBODY],
        env=os.environ | dict.fromkeys(HEADER_VARIABLES, headers),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert " opentelemetry." in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize(
    ("headers", "told_back"),
    [
        ("x-key=QUOTED%22LONG%5CSECRET", r"x-key was QUOTED\"LONG\\SECRET"),
        ("authorization=Basic%20dXNlcjpodW50ZXIy", "user:hunter2 is unknown"),
        ("authorization=Basic%20dXNlcjpodW50ZXIy", "password hunter2 is wrong"),
        ("x-key=k3yz", "bad key k3yz"),
    ],
)
def test_what_a_collector_tells_back_is_among_the_secrets(headers: str, told_back: str) -> None:
    secrets = secrets_of_headers({HEADER_VARIABLES[0]: headers})
    assert any(secret in told_back for secret in secrets)


def test_credentials_that_hold_no_text_are_no_fault() -> None:
    secrets = secrets_of_headers({HEADER_VARIABLES[0]: "a=Basic%20%21%21%21%21,b=Basic%20gICA"})
    assert {"!!!!", "gICA"} <= set(secrets)
