"""The gateway: the process beside a terminal that answers on port 5555 and streams on 5556."""
