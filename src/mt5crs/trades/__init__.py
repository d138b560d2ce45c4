"""What becomes of orders, deals and positions: derived from what a terminal shows, and kept."""
