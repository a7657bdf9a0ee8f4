"""API keys: minted, shown once, revoked."""
