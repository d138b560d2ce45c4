"""What a broker fixes about its symbols: data, and what reads it."""
