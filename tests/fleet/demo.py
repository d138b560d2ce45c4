"""Four nodes on this machine, and all that can be done with them: `make fleet-demo`.

HUB, GTW, INF and GPU are real machines as far as SSH can tell: an sshd each, with a folder, processes and a
name that no other has. HUB has this project's own working tree as a git repository; on GTW a gateway with a
simulated terminal runs as a service; on INF a client reads all the time, whatever is brought or taken back
meanwhile. Every command is printed as a user would type it, with what it really wrote.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fleet.machines import PATH, Machine, machines, require
from tests.fleet.world import REPOSITORY, ROOT, Done, Repository, World

PORT, STREAM_PORT = 5555, 5556
READY = 30.0
LONGEST_GAP = 15.0
"""Seconds after which a client that reads all the time was cut off."""
REST = """\
on_failure = "stop"
keep = 3

[roles.hub]
extras = []

[roles.gtw]
extras = ["cli"]
services = ["gateway"]

[roles.inf]
extras = ["cli"]

[roles.gpu]
extras = []

[services.gateway]
command = "mt5crs gateway --terminal simulated --state account.db --journal journal.db"
drain = 10
"""
READER = """\
import json, sys, time
from mt5crs import Client
host, port = sys.argv[1], int(sys.argv[2])
began = last = time.monotonic()
reads = failed = 0
gap = 0.0
running = True
def stop(*_):
    global running
    running = False
import signal
signal.signal(signal.SIGTERM, stop)
with Client(host, port, timeout=20) as client:
    while running:
        try:
            assert client.account_info() is not None
            reads += 1
        except Exception as error:
            failed += 1
            print(json.dumps({"error": repr(error)}), flush=True)
        now = time.monotonic()
        gap, last = max(gap, now - last), now
        if reads == 1:
            print(json.dumps({"ready": True}), flush=True)
        time.sleep(0.02)
print(json.dumps({"reads": reads, "failed": failed, "gap": gap, "seconds": last - began}), flush=True)
"""


@dataclass
class Story:
    """What is told, what was measured, and what is not as it should be.

    Attributes:
        world: The machines and the command line.
        measured: Rows of the table in the end.
        wrong: What is not as it should be.
    """

    world: World
    measured: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    wrong: list[str] = field(default_factory=list[str])

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        say(f"\n=== {title}")

    def type(self, *arguments: str, code: int = 0, measure: str = "") -> Done:
        """Type a command, show what it writes, and hold its exit code against the right one."""
        say(f"\n$ mt5crs {' '.join(arguments)}")
        began = time.monotonic()
        done = self.world.run(*arguments)
        took = time.monotonic() - began
        for text in (done.out, done.err):
            if text.strip():
                say(text.rstrip())
        say(f"[exit code {done.code}, {took:.1f} s]")
        self.expect(f"`mt5crs {' '.join(arguments)}` ends with {code}", done.code == code)
        if measure:
            self.measured.append((measure, f"{took:.1f} s"))
        return done

    def expect(self, what: str, holds: bool) -> None:
        """Note something that should hold."""
        if not holds:
            self.wrong.append(what)
            say(f"NOT AS IT SHOULD BE: {what}")

    def at(self, expected: dict[str, str]) -> None:
        """Hold the releases in use against those that should be."""
        found = {name: id_ for name, id_ in self.world.releases().items() if name in expected}
        self.expect(f"releases are {expected}, not {found}", found == expected)

    def end(self) -> int:
        """Tell what was measured; return the exit code."""
        say("\n=== Measured")
        width = max(len(name) for name, _ in self.measured)
        for name, value in self.measured:
            say(f"{name:{width}}  {value}")
        for what in self.wrong:
            say(f"NOT AS IT SHOULD BE: {what}")
        say("\nall as it should be" if not self.wrong else f"\n{len(self.wrong)} not as it should be")
        return 1 if self.wrong else 0


def say(text: str) -> None:
    """Write to whoever looks on."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def working_tree(repository: Repository) -> None:
    """Copy what git knows of this working tree into a repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, repository.folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def three_releases(repository: Repository) -> list[str]:
    """Commit three releases of the working tree, of which the last does not start; return their ids."""
    working_tree(repository)
    version = "src/mt5crs/_version.py"
    base = (repository.folder / version).read_text().split('"')[1]
    about = (repository.folder / "src/mt5crs/about.py").read_text()
    ids = []
    for number, subject in enumerate(("Begin", "Improve something", "Break something"), 1):
        files = {version: f'__version__ = "{base}.post{number}"\n'}
        if number == 3:
            files["src/mt5crs/about.py"] = f"import a_module_that_nobody_has\n{about}"
        commit = repository.commit(subject, files)
        repository.git("tag", f"release-{number}")
        ids.append(f"{base}.post{number}-{commit[:12]}")
    return ids


@contextmanager
def reading(machine: Machine, host: str) -> Generator[Callable[[], dict[str, float]], None, None]:
    """Have a client on a machine read all the time; what it is given ends it and returns what it saw."""
    reader = machine.root / "reader.py"
    reader.write_text(READER)
    enter = ("nsenter", "--target", str(machine.init), "--mount", "--uts", "--pid")
    # In the folder of the release that it was begun with: a switch below it does not end it.
    command = (f"{PATH}/current/.venv/bin/python", f"{PATH}/reader.py", host, str(PORT))
    with subprocess.Popen([*enter, *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = process.stdout

        def end() -> dict[str, float]:
            for pid, line in machine.processes().items():
                if "reader.py" in line:
                    os.kill(pid, signal.SIGTERM)
            return {k: v for line in lines for k, v in json.loads(line).items() if k != "error"}

        try:
            first = json.loads(lines.readline() or "{}")
            if not first.get("ready"):
                raise RuntimeError(f"the client on {machine.name} does not read: {first}")
            yield end
        finally:
            process.kill()


def story(tale: Story, repository: Repository) -> None:
    """Tell it."""
    world = tale.world
    gtw, inf, gpu = (world.machines[name] for name in ("gtw", "inf", "gpu"))
    one, two, _ = three_releases(repository)
    on = ("hub", "gtw", "inf")

    tale.chapter("Four nodes; GPU is optional and off")
    say((world.folder / "fleet.toml").read_text())
    tale.type("fleet", "show")

    tale.chapter("The first release")
    tale.type("fleet", "sync", "--to", "release-1", "--dry-run")
    tale.at(dict.fromkeys(on, ""))
    tale.type("fleet", "sync", "--to", "release-1", "--yes", measure="first sync, three nodes")
    tale.at(dict.fromkeys(on, one))
    tale.type("fleet", "sync", "--to", "release-1", "--yes", measure="second sync, nothing to do")

    with reading(inf, gtw.address) as end:
        tale.chapter("GPU is on, and the next release comes while a client on INF reads")
        gpu.start()
        tale.type("fleet", "sync", "--to", "release-2", "--yes", measure="next release, four nodes")
        tale.at(dict.fromkeys((*on, "gpu"), two))

        tale.chapter("Proof that it works")
        tale.type("fleet", "verify", measure="verify")

        tale.chapter("A release that does not work comes nowhere")
        nodes = ("--only", "gtw", "--only", "inf")
        broken = tale.type("fleet", "sync", "--to", "release-3", *nodes, "--yes", code=1)
        tale.expect("it is told why", "a_module_that_nobody_has" in broken.err)
        tale.at(dict.fromkeys((*on, "gpu"), two))

        tale.chapter("Somebody changes things on a node")
        (inf.root / "current" / "README.md").write_text("something else\n")
        env = inf.root / ".env"
        env.write_text(env.read_text().replace(f"MT5_PORT={PORT}", "MT5_PORT=9"))
        tale.type("fleet", "status", code=1)
        tale.type("fleet", "sync", "--to", "release-2", "--yes", measure="drift repaired")
        tale.type("fleet", "status", measure="status")

        tale.chapter("Back to the release before")
        tale.type(
            "fleet", "rollback", "--only", "inf", "--only", "gtw", "--yes", measure="rollback, two nodes"
        )
        tale.at({"hub": two, "gtw": one, "inf": one, "gpu": two})
        saw = end()
    tale.expect("the client was never cut off", saw["failed"] == 0 and saw["gap"] < LONGEST_GAP)
    tale.measured += [
        (
            "reads of the client on INF",
            f"{saw['reads']:,.0f} in {saw['seconds']:.0f} s, {saw['failed']:.0f} failed",
        ),
        ("its longest wait, over three restarts of the gateway", f"{saw['gap']:.1f} s"),
    ]

    tale.chapter("What was done, by whom, and how it ended")
    tale.type("fleet", "history")
    tale.chapter("The audit of a clone of HUB's project")
    audited(repository, world.folder / "audited", gtw.address)
    tale.type("audit", "run", "audited", "--gate", "1", "--no-documents", measure="audit")


def audited(repository: Repository, folder: Path, host: str) -> None:
    """Clone a project, with the settings that it needs."""
    repository.git("clone", "--quiet", ".", str(folder))
    settings = folder / ".env"
    settings.touch(0o600)
    example = (folder / ".env.example").read_text()
    settings.write_text(re.sub("(?m)^MT5_HOST=.*", f"MT5_HOST={host}", example))


def main(arguments: Sequence[str] = ()) -> int:
    """Run it; return the exit code."""
    try:
        require()
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mt5crs-fleet-") as folder:
        with machines(Path(folder) / "machines", ("hub", "gtw", "inf", "gpu")) as running:
            running["gpu"].stop()
            repository = Repository(running["hub"].root / REPOSITORY)
            address = f'MT5_HOST = "{running["gtw"].address}", MT5_PORT = "{PORT}"'
            nodes = {
                "gtw": f'env = {{ {address}, MT5_STREAM_PORT = "{STREAM_PORT}" }}',
                "inf": f"index = false\nenv = {{ {address} }}",
                "gpu": f"optional = true\nenv = {{ {address} }}",
            }
            tale = Story(World(Path(folder), running, REST, nodes))
            story(tale, repository)
            tale.measured.append(("all of it", f"{time.monotonic() - began:.0f} s"))
            return tale.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
