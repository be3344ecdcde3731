"""Tests of the operators' portal."""
