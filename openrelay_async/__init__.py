"""OpenRelay, async."""
