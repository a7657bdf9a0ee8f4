"""What ran and what it cost."""
