"""Money: balance, deposits, cards, auto-recharge, limits."""
