"""A gateway in a process of its own, on embedded SQLite and free ports of the loopback."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.config import PREFIX
from gateway.conformance.policy_file import write_policy
from gateway.installation.home import Home
from gateway.server.process import Running

_READY_SECONDS: Final = 180
_STOP_SECONDS: Final = 30
_LOG_SHOWN: Final = 2_000
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class GatewayDidNotStart(Exception):
    """The gateway's process ended before it answered, or took too long; the message says which, and
    ends with its log."""


@asynccontextmanager
async def gateway_process(
    home: Home, settings: Mapping[str, str] = _NONE
) -> AsyncGenerator[Running]:
    """Run ``creditgate serve`` in ``home`` while the context lasts.

    ``settings`` are added to the demo's own; those of the caller's environment do not reach it.
    Its log is gateway.log in the
    home. Raises GatewayDidNotStart.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    log = home.root / "gateway.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            # -P: the caller's folder may hold modules of the same names.
            *(sys.executable, "-P", "-m", "gateway.cli", "serve", "--json"),
            stdout=PIPE,
            stderr=errors,
            env=_environment(home, settings),
            # Ctrl-C is for the demo, which then stops its gateway in order.
            start_new_session=True,
        )
    try:
        yield await _ready(process, log)
    finally:
        await _stop(process)


def _environment(home: Home, more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    settings = {
        "HOME": str(home.root),
        "GRPC_PORT": "0",
        "HTTPS_PORT": "0",
        "DEVELOPMENT_PROVIDER": "true",
        "DEVELOPMENT_PROVIDER_PORT": "0",
        "LOG_LEVEL": "warning",
        # The demo waits a second for what others wait minutes for.
        "DELIVERY_GRACE_SECONDS": "1",
        # The demo mends within a second what others take a day for.
        "CONFORMANCE_POLICY": str(
            write_policy(home.root / "conformance-policy.yaml", attestation_spacing="PT0S")
        ),
    }
    settings |= more
    return kept | {f"{PREFIX}{name}": value for name, value in settings.items()}


async def _ready(process: asyncio.subprocess.Process, log: Path) -> Running:
    """Return where the gateway answers; raises GatewayDidNotStart."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_READY_SECONDS):
            line = await process.stdout.readline()
    except TimeoutError:
        why = f"did not answer within {_READY_SECONDS} seconds: the machine may be busy"
        raise _not_started(why, log) from None
    place = json.loads(line or b"{}")
    if "grpc" not in place:
        raise _not_started("did not start", log)
    return Running(place["grpc"], place["issuer"], Path(place["ca"]))


def _not_started(why: str, log: Path) -> GatewayDidNotStart:
    told = log.read_text(encoding="utf-8", errors="replace")[-_LOG_SHOWN:]
    return GatewayDidNotStart(f"The gateway {why}. Its log, {log}, ends:\n{told}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
