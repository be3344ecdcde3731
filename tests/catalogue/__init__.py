"""Tests of the catalogue: admission, personal data, periods, the file and the service."""
