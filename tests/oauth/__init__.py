"""Tests of the authorisation server, over real TLS on loopback."""
