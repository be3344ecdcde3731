"""Licence credentials and their status."""
