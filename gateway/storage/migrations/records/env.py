"""Alembic environment: runs on the connection that the program hands over."""

from alembic import context

from gateway.storage.versions import add_column, keep

attributes = context.config.attributes
add_column(attributes["connection"], attributes["version_table"])
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes.get("target_metadata"),
    version_table=attributes["version_table"],
    partitions=attributes.get("partitions"),
    # Of no effect in a transaction that is open already.
    transaction_per_migration=True,
    on_version_apply=keep,
)
context.run_migrations()
