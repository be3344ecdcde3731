"""Tests of what makes the disclosure provable: logs, map, proofs."""
