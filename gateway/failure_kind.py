"""What kind of failure an exception is, in words that a log may keep. Pure.

What a driver or SQLAlchemy says of a failure may hold a row, and so data of subjects: of that only
the type and the code are told, which name the cause and hold nothing else.
"""

from errno import errorcode


def failure_kind(error: BaseException) -> str:
    """Return the type of ``error``, with SQLite's name of the cause, the SQLSTATE of PostgreSQL or
    the name of the system's error where it has one: ``OperationalError (SQLITE_FULL)``."""
    name = type(error).__name__
    code = _code(getattr(error, "orig", None) or error)
    return f"{name} ({code})" if code else name


def _code(raised: BaseException) -> str:
    named = getattr(raised, "sqlite_errorname", None) or getattr(raised, "sqlstate", None)
    if named is None and isinstance(raised, OSError) and raised.errno is not None:
        named = errorcode.get(raised.errno)
    return str(named or "")
