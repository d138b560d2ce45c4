"""The account: what is open, what happened, and the money of both."""
