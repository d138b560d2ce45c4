"""What a node is asked to do, done there: a program that needs nothing but Python's standard library.

It is packed (`mt5crs.fleet.ssh`) and sent to the node, where it reads one request from its standard input
and answers with lines of JSON. It imports nothing from outside this folder, its modules import each other
relatively.
"""
