"""The checks of `mt5crs fleet verify`: pure functions of what was seen of a node.

A check of a project's own is a function in a Python file that the inventory names (`checks`):

```python
from mt5crs.checks import Finding, failed, passed
from mt5crs.fleet.live import Seen, registry

@registry.check(
    "project.models", "the models are there", reason="INF has nothing to say without them", remedy="copy them"
)
def models(seen: Seen) -> Finding:
    files = seen.facts.built.tree if seen.facts.built else {}
    found = [name for name in files if name.endswith(".onnx")]
    return passed(f"{len(found)} models") if found else failed("no model")
```
"""

from mt5crs.checks import Registry
from mt5crs.fleet.live import gateway, machine, packages, release, settings
from mt5crs.fleet.live.seen import Clock, Failure, Seen

registry: Registry[Seen] = Registry()
"""All checks of nodes, in the order in which they are told: what is wrong first explains what comes later."""
for module in (machine, release, packages, settings, gateway):
    registry.include(module.checks)

BUILT_IN = tuple(check.id for check in registry)
"""The ids of our own checks."""

__all__ = ["BUILT_IN", "Clock", "Failure", "Seen", "registry"]
