"""What the bridge costs, each figure a ratio against a floor that was measured in the same run.

`python -m benchmarks` prints the table; see `python -m benchmarks --help`. Floors and subjects take turns in
short rounds, so that a busy machine slows both alike, and every process is started several times, because
where it lands in memory moves a figure by more than a round does.
"""
