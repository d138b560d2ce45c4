"""Faults on demand: what can go wrong between a program and its broker, when it is told to."""
