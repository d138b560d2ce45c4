"""The audit in two gates: the project as it lies in a folder, then the nodes as they run.

`tree` and `history` collect, `secrets` knows what secrets look like, `static` has the checks of gate 1; gate
2 is `fleet verify`. `gates` holds both, `report` writes down and signs what came of it, `documents` makes the
pages that are kept.
"""
