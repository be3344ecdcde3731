"""The national trust anchor."""
