"""The durable record of every trade request and of what became of it."""
