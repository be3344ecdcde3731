"""Ways for a store to fail, each a real one."""

import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import Engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection

_MOST_PAGES = 2**31 - 2
_SOCKET = ".s.PGSQL.5432"


@contextmanager
def disk_full(engine: Engine) -> Generator[None]:
    """Let a SQLite file not grow by a page: SQLITE_FULL."""

    def limit(most: int) -> None:
        def on_checkout(connection: DBAPIConnection, *_: object) -> None:
            connection.cursor().execute(f"PRAGMA max_page_count={most}")

        event.listen(engine, "checkout", on_checkout)

    limit(1)
    yield
    limit(_MOST_PAGES)


@contextmanager
def failing_commit(engine: Engine) -> Generator[None]:
    """Let every COMMIT of usage fail."""
    if engine.dialect.name == "sqlite":

        def enforce(connection: DBAPIConnection, *_: object) -> None:
            connection.cursor().execute("PRAGMA foreign_keys=ON")

        event.listen(engine, "checkout", enforce)
        _run(
            engine,
            "CREATE TABLE absent (x INTEGER PRIMARY KEY)",
            "CREATE TABLE watched (x INTEGER REFERENCES absent DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER fault AFTER INSERT ON usage_answers"
            " BEGIN INSERT INTO watched VALUES (1); END",
        )
        yield
        _run(engine, "DROP TRIGGER fault")
    else:
        with _trigger(engine, "RAISE EXCEPTION USING ERRCODE = 'disk_full'", deferred=True):
            yield


@contextmanager
def killed_backend(engine: Engine, *, at_commit: bool) -> Generator[None]:
    """Let the server process die, at COMMIT or at the INSERT, as an administrator kills it."""
    with _trigger(engine, "PERFORM pg_terminate_backend(pg_backend_pid())", deferred=at_commit):
        yield


@contextmanager
def _trigger(engine: Engine, action: str, *, deferred: bool) -> Generator[None]:
    when = "INITIALLY DEFERRED" if deferred else "INITIALLY IMMEDIATE"
    _run(
        engine,
        f"CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {action}; RETURN NULL; END $$",
        f"CREATE CONSTRAINT TRIGGER fault AFTER INSERT ON usage_answers DEFERRABLE {when}"
        " FOR EACH ROW EXECUTE FUNCTION fault()",
    )
    yield
    _run(engine, "DROP TRIGGER fault ON usage_answers", "DROP FUNCTION fault")


def _run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


class LossyWire:
    """Stands between a client and PostgreSQL, and can swallow the answer to a COMMIT."""

    def __init__(self, server: URL, folder: Path) -> None:
        self._server = f"{server.query['host']}/{_SOCKET}"
        self._folder = folder
        self.url = server.set(query={"host": str(folder)}).render_as_string(hide_password=False)
        self.swallow = Event()

    def __enter__(self) -> "LossyWire":
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(f"{self._folder}/{_SOCKET}")
        self._listening.listen()
        self._accepting = Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Who waits in accept() is not woken by close().
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                lost = Event()
                Thread(target=self._to_server, args=(client, server, lost), daemon=True).start()
                Thread(target=self._to_client, args=(server, client, lost), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket, lost: Event) -> None:
        with suppress(OSError):
            while sent := client.recv(1 << 16):
                if self.swallow.is_set() and b"COMMIT" in sent:
                    lost.set()
                server.sendall(sent)
        server.close()

    @staticmethod
    def _to_client(server: socket.socket, client: socket.socket, lost: Event) -> None:
        with suppress(OSError):
            # The first answer after the COMMIT tells that it is done, and goes nowhere.
            while (sent := server.recv(1 << 16)) and not lost.is_set():
                client.sendall(sent)
            client.shutdown(socket.SHUT_RDWR)
        client.close()
