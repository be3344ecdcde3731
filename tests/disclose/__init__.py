"""Tests of the disclosure: publishing, changes, lookup, identity to the byte."""
