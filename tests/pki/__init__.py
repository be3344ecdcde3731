"""Tests of the development certification authority."""
