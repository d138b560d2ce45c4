"""What `observe` answers: the facts that the checks of `live` look at."""

from typing import Any, Literal

from msgspec import Struct

from mt5crs.fleet.facts import Built


class Problem(Struct, frozen=True):
    """A failure, as it was told on the node."""

    code: str
    message: str
    hint: str = ""


class Changes(Struct, frozen=True):
    """Files against what was installed.

    Attributes:
        count: How many files, or packages, were looked at.
        total: How many are not as they were.
        changed: Some of those whose content is another.
        missing: Some of those that are not there.
        added: Some of those that nobody installed.
    """

    count: int
    total: int
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


class Text(Struct, frozen=True):
    """A file of the release, and whether a text is in it."""

    name: str
    text: str
    exists: bool
    has: bool


class Mode(Struct, frozen=True):
    """A file with something private in it.

    Attributes:
        path: Its path.
        exists: Whether it is there.
        others: Whether others than its owner may do something with it; None where that is not known.
        bits: Its mode in octal digits.
        trouble: Who else could put another file in its place, in words; "" for nobody.
    """

    path: str
    exists: bool
    others: bool | None
    bits: str
    trouble: str = ""


class Ran(Struct, frozen=True):
    """A program that was run.

    Attributes:
        code: 0 where it ended well, 1 where not, None where it did not end in time.
        output: The end of what it wrote.
        answer: The last line of that.
    """

    code: int | None
    output: str
    answer: str


class Reached(Struct, frozen=True):
    """A TCP connection that was tried.

    Attributes:
        host: To which host.
        port: To which port.
        state: `refused`: the machine is there and nobody listens. `filtered`: nothing came back.
        milliseconds: How long it took.
        detail: What the system said.
        own: The node's address on that way; "" where it is not known.
    """

    host: str
    port: int
    state: Literal["open", "refused", "filtered", "unknown", "failed"]
    milliseconds: float
    detail: str
    own: str = ""


class Greeted(Struct, frozen=True):
    """What listens on a port, as it greets somebody who has no key.

    Attributes:
        host: On which host.
        port: On which port.
        mechanism: `NULL` admits everybody, `CURVE` wants a key; "" where nothing greeted as ZeroMQ does.
    """

    host: str
    port: int
    mechanism: str


class Admitted(Struct, frozen=True, rename={"sources": "from"}):
    """A rule of a firewall that lets somebody in, or may.

    Attributes:
        name: The rule.
        sources: From which addresses; `Any` for all.
        understood: Whether it is known what the rule does.
    """

    name: str
    sources: tuple[str, ...]
    understood: bool = True


class Memory(Struct, frozen=True):
    """Bytes of a client's process; None where they are not known.

    Attributes:
        connected: Before the first array.
        arrays: With it.
        peak: The most that there were.
    """

    connected: int | None
    arrays: int | None
    peak: int | None


class Measured(Struct, frozen=True):
    """What a client measured.

    Attributes:
        rtts: Round trips in milliseconds.
        lost: Pings without an answer.
        software: Program and version of the gateway.
        protocol: Which it speaks with this client.
        terminal: `simulated` or `official`.
        account: That the terminal trades for, `login@server`.
        state: What the gateway says of itself.
        memory: What the client needs.
        stream_port: Where the gateway says that it publishes; None of a release that does not measure that.
        streams: Whether a beat came from there; None where it was not listened for.
        unread: Why there was no answer to the question for the first array; None where there was one.
    """

    rtts: tuple[float, ...]
    lost: int
    software: str
    protocol: int
    terminal: str
    account: str
    state: dict[str, Any]
    memory: Memory
    stream_port: int | None = None
    streams: bool | None = None
    unread: Problem | None = None


class AsClient(Struct, frozen=True):
    """What `mt5crs.client.measure` says.

    Attributes:
        settings: Each setting's value, and where it came from.
        wrong: Why the settings cannot be used.
        measured: What was measured with them.
        failed: Why it was not.
    """

    settings: dict[str, tuple[str | None, str]] = {}
    wrong: Problem | None = None
    measured: Measured | None = None
    failed: Problem | None = None


class Self(Struct, frozen=True):
    """What the release says of itself now, or why it does not."""

    version: str = ""
    speaks: tuple[int, ...] = ()
    python: str = ""
    packages: dict[str, str] = {}
    wrong: Problem | None = None


class Observed(Struct, frozen=True):
    """What is to be seen of a node.

    Attributes:
        free: Bytes free below the path.
        total: Bytes that there are.
        current: The release in use; "" for none.
        built: What is known of it; None where it is not complete. What follows is empty then.
        listeners: By port, the addresses that somebody listens on; None where that cannot be seen.
        admitted: By port, whom the firewall lets in; None where that cannot be seen.
        reached: The connections that were to be tried.
        greeted: How what listens there greets somebody without a key; on the gateway's node, what listens
            on its own ports.
        modes: `.env`, and the key file that it names.
        files: Those of the release.
        package_files: Those of the packages.
        texts: Texts that were looked for.
        about: What the release says of itself now.
        consistent: What pip says of the packages; None where there is none to ask.
        client: The settings, and what a client measured.
        ran: The programs that were to be run.
    """

    free: int
    total: int
    current: str
    built: Built | None
    listeners: dict[str, tuple[str, ...] | None]
    admitted: dict[str, tuple[Admitted, ...] | None]
    reached: tuple[Reached, ...]
    modes: tuple[Mode, ...]
    greeted: tuple[Greeted, ...] = ()
    files: Changes | None = None
    package_files: Changes | None = None
    texts: tuple[Text, ...] = ()
    about: Self | None = None
    consistent: Ran | None = None
    client: AsClient | None = None
    ran: dict[str, Ran] = {}
