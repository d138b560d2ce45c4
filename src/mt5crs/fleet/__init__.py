"""Four kinds of node, one command: sync, verify, audit, roll back.

`inventory` says which nodes there are, `plan` what is to be done to bring a release to them, `apply` does
it. What is done on a node is done there by `node/`, a program of the standard library alone that `ssh`
sends along.
"""
