"""Bring the clone's own .venv up to date: ``environment.py runtime|development``.

Installs the lock file by hash, then the project itself, editable; writes a stamp, so
that a second run has nothing to do until lock, project file, Python or place change.
Standard library only: it runs before anything is installed.
"""

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

import browser

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
LOG = VENV / "setup.log"
LOCKS = {"runtime": "requirements.lock", "development": "requirements-dev.lock"}
# What satisfies each: the development lock holds everything of the other.
ENOUGH = {"runtime": ("runtime", "development"), "development": ("development",)}
SHOWN_LINES = 15


class CannotSetUp(Exception):
    """Setup failed; the message tells the mend."""


def fingerprint(kind: str, version: str) -> str:
    """Return what an installation depends on, as one digest."""
    parts = (
        (ROOT / LOCKS[kind]).read_bytes(),
        (ROOT / "pyproject.toml").read_bytes(),
        str(ROOT).encode(),
        version.encode(),
    )
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def stamp(kind: str) -> Path:
    """Return the file that says which installation of ``kind`` is complete."""
    return VENV / f"{kind}.stamp"


def venv_version() -> str | None:
    """Return major.minor of a .venv that works; None when it must be made anew.

    A Python replaced under a .venv still starts, but no longer finds its packages.
    """
    if not VENV_PYTHON.exists():
        return None
    report = "import pip, sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([VENV_PYTHON, "-c", report], capture_output=True, text=True, check=False)
    version = done.stdout.strip()
    if done.returncode or ("PYTHON" in os.environ and version != own_version()):
        return None
    return version


def own_version() -> str:
    """Return major.minor of the Python that runs this."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def complete(kind: str, version: str) -> bool:
    """Tell whether everything ``kind`` needs is installed."""
    return any(
        stamp(each).exists() and stamp(each).read_text() == fingerprint(each, version)
        for each in ENOUGH[kind]
    )


def make_venv() -> str:
    """Make an empty .venv and return its version."""
    if importlib.util.find_spec("ensurepip") is None:
        raise CannotSetUp(
            f"{sys.executable} cannot make virtual environments: its ensurepip is missing.\n"
            f"On Debian and Ubuntu:\n    apt install python{own_version()}-venv"
        )
    try:
        venv.create(VENV, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotSetUp(
            f"{sys.executable} could not make {VENV}: {error}\n"
            "See that the folder can be written and the disk is not full; on Debian and\n"
            f"Ubuntu also that python{own_version()}-venv is installed."
        ) from error
    return own_version()


def pip_install(*arguments: str) -> None:
    """Run ``pip install``; its output goes to the log, its errors to the screen."""
    settings = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
    with LOG.open("ab") as log:
        done = subprocess.run(
            [VENV_PYTHON, "-m", "pip", "install", *arguments],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode == 0:
        return
    lines = LOG.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    raise CannotSetUp(
        "\n".join(errors[-SHOWN_LINES:]) + f"\n\npip could not install; all it said is in {LOG}\n"
        "It needs a package registry: see that the network is up, or name a mirror and\n"
        "proxy to pip (PIP_INDEX_URL, HTTPS_PROXY), then run the same command again."
    )


def install(kind: str) -> None:
    """Install what ``kind`` needs, unless it is there."""
    version = venv_version()
    if version is not None and complete(kind, version):
        return
    print(f"Setting up {VENV} from {LOCKS[kind]}; this takes a minute or two, once.", flush=True)
    if version is None:
        version = make_venv()
    for each in LOCKS:
        stamp(each).unlink(missing_ok=True)
    LOG.unlink(missing_ok=True)
    pip_install("--require-hashes", "-r", LOCKS[kind])
    pip_install("--no-deps", "--no-build-isolation", "-e", ".")
    stamp(kind).write_text(fingerprint(kind, version))


def install_browser() -> None:
    """Install Chromium, unless it is there.

    Without it every other test still runs, so it is an error in continuous integration
    only, where nobody would read of it.
    """
    try:
        browser.install()
    except browser.NoBrowser as error:
        if os.environ.get("CI") == "true":
            raise CannotSetUp(str(error)) from error
        print(error, file=sys.stderr)


def main() -> int:
    """Set up under a lock, so that two terminals do not install over each other."""
    folder = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        install(sys.argv[1])
        if sys.argv[1] == "development":
            install_browser()
    except CannotSetUp as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        os.close(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
