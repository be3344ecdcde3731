"""Stores: migrations and durability, on SQLite and PostgreSQL."""
