"""Ticks and bars: where they come from, what is made of them, and which of them is the present."""
