"""The installation's check of itself."""
