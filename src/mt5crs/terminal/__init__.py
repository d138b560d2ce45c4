"""What executes: the official terminal or the simulated one, behind one port."""
