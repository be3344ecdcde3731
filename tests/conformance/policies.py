"""Policies of conformance for tests: the shipped one, changed."""

from pathlib import Path
from typing import Final

from gateway.conformance.policy_file import write_policy

FILE_AGE_SECONDS: Final = 3


def policy_file(folder: Path, **changes: object) -> Path:
    """Write the shipped policy with changes, by which attestations may follow one another at
    once, and copies are taken to be read `FILE_AGE_SECONDS` before at most, and a clock that leaps is no
    outage; return its file."""
    unspaced: dict[str, object] = {
        "attestation_spacing": "PT0S",
        "file_age": f"PT{FILE_AGE_SECONDS}S",
        "outages": {"silence": "P366D", "grace": "PT4H"},
    }
    return write_policy(folder / "conformance-policy.yaml", **(unspaced | changes))
