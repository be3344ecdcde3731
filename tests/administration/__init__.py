"""Tests of OperatorService over real authority logs and feeds."""
