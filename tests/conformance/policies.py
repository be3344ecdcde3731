"""Policies of conformance for tests: the shipped one, changed."""

from pathlib import Path

from gateway.conformance.policy_file import write_policy


def policy_file(folder: Path, **changes: object) -> Path:
    """Write the shipped policy with changes, by which attestations may follow one another at
    once; return its file."""
    unspaced: dict[str, object] = {"attestation_spacing": "PT0S"}
    return write_policy(folder / "conformance-policy.yaml", **(unspaced | changes))
