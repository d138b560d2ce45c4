"""A conformance suite: what every MetaTrader 5 terminal does, asked through the official functions alone.

The rules are data (`suite.RULES`): a statement, how sure it is, what is observed and what is expected. They
are given a module with the official functions, which may be the official package beside a real terminal or
the drop-in module connected to a gateway, and use nothing else of it.
"""
