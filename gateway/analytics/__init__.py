"""Analysis of years of use: an archive of the ledger as Parquet, and SQL on it by DuckDB.

May import exports, settle, storage and the contract. Promises that a question never touches the
live store, that the archive has every use once, and that a question reads the archive alone.
"""
