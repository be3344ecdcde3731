"""The application: one route, a session per request, an engine on a SQLite file."""

from pathlib import Path
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi import Path as InPath
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from benchmarks.servers.conventional.access import Caller, caller
from benchmarks.servers.conventional.schemas import AnswerOut
from benchmarks.servers.conventional.service import subject_records


def open_engine(file: Path) -> Engine:
    """Open the store as durable as the gateway's: WAL, synchronous=FULL."""
    engine = create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def build_app(engine: Engine, signing_key: jwt.PyJWK) -> FastAPI:
    """Return the application over ``engine``, trusting tokens signed by ``signing_key``."""
    app = FastAPI()
    app.state.signing_key = signing_key
    app.state.sessions = sessionmaker(engine)
    app.add_api_route("/v1/subjects/{subject}/records", get_subject_records, methods=["GET"])
    return app


def get_subject_records(
    subject: Annotated[str, InPath(pattern="^[0-9A-HJ-NP-RTUW-Y]{18}$")],
    purpose: Annotated[str, Query(max_length=64)],
    x_request_id: Annotated[str, Header(min_length=1, max_length=64)],
    who: Annotated[Caller, Depends(caller)],
    request: Request,
) -> AnswerOut:
    """Return a subject's records."""
    # A dependency that yields the session would cross to a thread twice more.
    sessions: sessionmaker[Session] = request.app.state.sessions
    with sessions() as session:
        return subject_records(session, who.client_id, subject, purpose, x_request_id)
