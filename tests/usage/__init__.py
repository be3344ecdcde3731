"""Tests of usage logs."""
