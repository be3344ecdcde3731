"""Tests of the audit: the decision log, and traces through all logs."""
