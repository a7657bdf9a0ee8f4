"""SSH keys of an organization."""
