"""Why it does not work, found from near to far: settings, name, port, handshake, clock, terminal, account.

`symptoms` looks at each part once and decides nothing, `checks` says what it means and what to do, `codes`
explains the numbers that MetaTrader answers with.
"""
