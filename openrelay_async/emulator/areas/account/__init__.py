"""Who is calling: users, organizations, sessions."""
