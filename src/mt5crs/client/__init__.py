"""The clients: blocking and asyncio, thin drivers of one session."""
