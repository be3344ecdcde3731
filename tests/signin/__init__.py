"""Signing people in at an identity provider, an honest one and others."""
