"""Alembic environment: runs on the connection that the program hands over."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes.get("target_metadata"),
    version_table=attributes["version_table"],
    # Of no effect in a transaction that is open already.
    transaction_per_migration=True,
)
context.run_migrations()
