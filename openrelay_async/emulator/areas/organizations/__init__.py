"""Organizations, members, invites."""
