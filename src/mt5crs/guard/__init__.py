"""What orders may do: limits, the kill switch, and how they are judged; without a terminal."""
