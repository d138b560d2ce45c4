"""Who may do what; nothing here does I/O except with key files."""
