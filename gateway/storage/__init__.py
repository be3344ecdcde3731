"""Where state lives: engines for SQLite and PostgreSQL and the Alembic migrations.

May import table metadata of the capabilities, nothing else of the gateway.
Promises durability of what was committed (G12) on both stores.
"""
