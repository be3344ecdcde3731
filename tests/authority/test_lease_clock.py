"""A lease is over also where the host slept meanwhile (G4)."""

import subprocess
import sys
from inspect import signature

import pytest

from gateway.authority.feed import AuthorityFeed
from gateway.clock import host_seconds

SLEPT = 86_400
# A namespace whose host has slept for a day: its monotonic clock does not know.
ASLEEP = ("unshare", "--time", "--boottime", str(SLEPT))
ASK = (
    "import time; from gateway.clock import host_seconds; print(host_seconds() - time.monotonic())"
)


def can_sleep() -> bool:
    """Tell whether this system lets the tests make such a namespace."""
    try:
        return not subprocess.run([*ASLEEP, "true"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_sleep(), reason="takes time namespaces, and the right to make one")
def test_seconds_asleep_count() -> None:
    told = subprocess.run(
        [*ASLEEP, sys.executable, "-c", ASK], capture_output=True, text=True, check=True
    )
    assert float(told.stdout) > SLEPT - 60


def test_leases_of_authority_go_by_them() -> None:
    assert signature(AuthorityFeed).parameters["monotonic"].default is host_seconds
