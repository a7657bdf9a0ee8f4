"""OpenRelay, sync."""
