"""Tests of authentication: certificate and token to caller."""
