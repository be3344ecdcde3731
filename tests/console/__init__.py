"""Tests of the administrators' console."""
