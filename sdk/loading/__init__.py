"""The publisher's bulk loader: CSV, JSONL and Parquet files into PublishRecords.

May import creditgate and sdk, nothing of the gateway. Promises that every row of a file
ends as published, unchanged or rejected with its reason, in memory that does not grow
with the file, and that a second run of the same load changes nothing.
"""
