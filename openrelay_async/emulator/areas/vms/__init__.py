"""Virtual machines and their lifecycle."""
