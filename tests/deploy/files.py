"""What the files of deploy/ say: settings by name, commands, manifests."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
_NAMED: Final = re.compile(r"\bCREDITGATE_[A-Z_]+\b")
NO_SETTING: Final = {"CREDITGATE_CONFIG", "CREDITGATE_IMAGE"}
"""What names the file of settings, and what only compose reads."""


def every_file() -> list[Path]:
    """Return all files there are."""
    return sorted(file for file in DEPLOY.rglob("*") if file.is_file())


def documents(file: Path) -> list[dict[str, Any]]:
    """Return the documents of a YAML file."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def manifests(folder: str = "base") -> dict[tuple[str, str], dict[str, Any]]:
    """Return the Kubernetes objects of a folder by kind and name."""
    found = {}
    for file in (DEPLOY / "kubernetes" / folder).glob("*.yaml"):
        for document in documents(file):
            if document["kind"] != "Kustomization":
                found[document["kind"], document["metadata"]["name"]] = document
    return found


def named_settings(file: Path) -> set[str]:
    """Return the environment variables of ours that a file names."""
    return {*_NAMED.findall(file.read_text())} - NO_SETTING


def unit_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of creditgate that systemd's units start."""
    for file in (DEPLOY / "systemd").glob("*.service"):
        for line in file.read_text().splitlines():
            if line.startswith("ExecStart="):
                _, _, words = line.partition("/bin/creditgate ")
                yield file.name, words.rstrip("'").split()
