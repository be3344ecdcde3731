"""Bulk loading: mappings, readers, the feed and its report."""
