"""The import contracts of pyproject.toml hold, and would not hold if broken."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.quality.project import BIN, ROOT, run

PACKAGES = ("gateway", "operators", "consent", "sdk", "protos/creditgate")
# A line that breaks each contract, and the module it would stand in.
BREACHES = {
    "The contract (creditgate) knows none of its users": ("protos/creditgate/uscc.py", "operators"),
    "Who may (operators) knows neither the door nor who agreed": (
        "operators/log.py",
        "gateway.clock",
    ),
    "Who agreed (consent) knows neither the door nor who may": (
        "consent/rules.py",
        "gateway.clock",
    ),
    "A client (sdk) needs nothing of the server": ("sdk/refusals.py", "gateway.clock"),
    "Rules do no I/O": ("operators/rules.py", "sqlite3"),
    "Consents know neither the pages that show them nor the server": (
        "gateway/storage/turn.py",
        "gateway.subject.standing",
    ),
    "The request path runs one way": ("gateway/disclose/frame.py", "gateway.respond.service"),
}


def test_imports_keep_their_contracts() -> None:
    run("lint-imports", "--no-cache")


def test_every_contract_is_seen_to_be_broken(tmp_path: Path) -> None:
    for package in PACKAGES:
        target = tmp_path / Path(package).name
        shutil.copytree(ROOT / package, target, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, imported in BREACHES.values():
        module = tmp_path / name.removeprefix("protos/")
        module.write_text(
            module.read_text(encoding="utf-8") + f"\nimport {imported}\n", encoding="utf-8"
        )
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    broken = set(re.findall(r"^(.+) BROKEN$", done.stdout, re.MULTILINE))
    assert broken == BREACHES.keys(), done.stdout + done.stderr
