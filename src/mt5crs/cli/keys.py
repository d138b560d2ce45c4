"""`mt5crs keys`: make, list, replace and revoke the keys of a gateway and its clients."""

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mt5crs.cli.options import written
from mt5crs.cli.output import Output, Table, field
from mt5crs.security.policy import PRIVATE, Role

if TYPE_CHECKING:
    from mt5crs.security.keyfiles import ClientEntry

Folder = Annotated[Path, typer.Option("--keys", metavar="DIR", help="The gateway's folder of keys.")]
Name = Annotated[str, typer.Argument(help="The client's name: letters, digits, - and _.")]
Passphrase = Annotated[
    bool, typer.Option("--passphrase", help="Encrypt the secrets in the file with a passphrase.")
]
DEFAULT = Path("keys")
AT_ONCE = "a gateway that runs takes it at once"

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

ENTRY_FIELDS = (
    *("name", "role", "streams", "key_id", "state", "made", "until", "revoked", "public_key", "signing_key"),
)
ENTRY_COLUMNS = (
    *(field("name"), field("role"), field("streams", spare=True), field("key_id", "key id")),
    *(field("state"), field("made", spare=True)),
)
KEY_COLUMNS = field("public_key", "public key"), field("signing_key", "signing key")
FILE_COLUMNS = field("field"), field("value")

app = typer.Typer(help="Make, list, replace and revoke keys.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="keys")


@app.command()
def init(folder: Folder = DEFAULT, passphrase: Passphrase = False) -> None:
    """Make a gateway's folder and its own keys."""
    from mt5crs.security.keys import create_gateway

    path = create_gateway(folder, passphrase=_passphrase(passphrase, "the gateway's keys"))
    typer.echo(f"made {path}: keep it secret, and on the gateway's machine")
    typer.echo(f"next: mt5crs keys new NAME --role trader --keys {folder}")


@app.command()
def new(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the client may do.")] = Role.OBSERVER,
    stream: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STREAM", help=f"A private stream that it may have: {' or '.join(sorted(PRIVATE))}."
        ),
    ] = None,
    folder: Folder = DEFAULT,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The client's file; NAME.key without it.")
    ] = None,
    passphrase: Passphrase = False,
) -> None:
    """Make the keys of a client, and let the gateway know it."""
    from mt5crs.security.keys import create_client

    secret = _passphrase(passphrase, f"the keys of {name}")
    target = out or Path(f"{name}.key")
    create_client(folder, name, role, target, streams=tuple(stream or ()), passphrase=secret)
    typer.echo(f"made {target} for {name} ({role.value}): {AT_ONCE}")
    typer.echo("next: move it to the client, and name it in MT5_KEYS there")


@written(app, "list")
def list_(output: Output, folder: Folder = DEFAULT) -> None:
    """List the clients that a gateway knows, key by key."""
    from mt5crs.security.ring import KeyRing

    ring = KeyRing(folder)
    if not ring.entries:
        ring.check()
    output.write(Table(f"clients of {folder}", ENTRY_COLUMNS, ENTRY_FIELDS, _rows(ring.entries.values())))
    ring.check()  # what is wrong with the rest


@written(app)
def show(
    output: Output,
    what: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A client's name, or a key file.")],
    folder: Folder = DEFAULT,
) -> None:
    """Show what a gateway knows of a client, or what is in a key file; never a secret."""
    from mt5crs.security.keys import known_client

    if Path(what).is_file():
        shown = _public(Path(what))
        rows = [{"field": name, "value": value} for name, value in shown.items()]
        output.write(Table(what, FILE_COLUMNS, ("field", "value"), rows, document=shown))
    else:
        keys = _rows([known_client(folder, what)])
        output.write(Table(f"keys of {what}", (*ENTRY_COLUMNS, *KEY_COLUMNS), ENTRY_FIELDS, keys))


@app.command()
def revoke(
    name: Name,
    key_id: Annotated[
        str | None, typer.Option(metavar="ID", help="That key of the client alone; all without it.")
    ] = None,
    folder: Folder = DEFAULT,
) -> None:
    """Revoke the keys of a client, at once and for good."""
    from mt5crs.security.keys import revoke_client

    revoked = revoke_client(folder, name, key_id)
    if not revoked:
        typer.echo(f"{f'key {key_id} of ' if key_id else ''}{name} was revoked before")
        return
    typer.echo(f"revoked {name}, key {', '.join(revoked)}: {AT_ONCE}")
    typer.echo("next: its file opens nothing any more, and can be removed")


@app.command()
def rotate(
    name: Name,
    window: Annotated[
        str,
        typer.Option(metavar="TIME", help="How long the former key stays valid, as in 30m, 24h, 7d; or 0."),
    ] = "24h",
    folder: Folder = DEFAULT,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The new file; NAME-KEYID.key without it.")
    ] = None,
    passphrase: Annotated[
        bool | None,
        typer.Option(help="Encrypt the secrets in the file with a passphrase; as before without it."),
    ] = None,
) -> None:
    """Make another key for a client; the former one ends after a while."""
    from mt5crs.security.keys import known_client, rotate_client

    seconds = _seconds(window)
    entry = known_client(folder, name)
    sealed = passphrase if passphrase is not None else any(key.sealed for key in entry.keys[-1:])
    secret = _passphrase(sealed, f"the new keys of {name}")
    target = rotate_client(folder, name, out, window=seconds, passphrase=secret)
    former = f"stays valid for {window}" if seconds else "has ended"
    typer.echo(f"made {target} for {name}, its former key {former}: {AT_ONCE}")
    typer.echo("next: move it to the client, over its former file: the heads that are kept beside that stay")


def _passphrase(wanted: bool, what: str) -> str:
    if not wanted:
        return ""
    from mt5crs.security.passphrase import fresh

    return fresh(what)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if match is None:
        raise typer.BadParameter(f"--window {text}: a time is a number with s, m, h or d, such as 24h")
    return int(match[1]) * float(UNITS[match[2]])


def _rows(entries: "Iterable[ClientEntry]") -> list[Mapping[str, str]]:
    """Return a row for each key."""
    from mt5crs.security.keyfiles import stamp

    now = time.time()
    return [
        {
            "name": entry.name,
            "role": entry.role.value,
            "streams": ",".join(entry.streams),
            "key_id": key.id,
            "state": key.state(now),
            "made": stamp(key.made),
            "until": stamp(key.until) if key.until else "",
            "revoked": stamp(key.revoked) if key.revoked else "",
            "public_key": key.public,
            "signing_key": key.signing,
        }
        for entry in entries
        for key in entry.keys
    ]


def _public(path: Path) -> dict[str, Any]:
    """Return what everybody may know of a key file."""
    from mt5crs.security.keyfiles import ClientEntry, ClientFile, KeyFileError, decode_any, read_private

    file = decode_any(path, read_private(path))
    if isinstance(file, ClientEntry):
        raise KeyFileError(f"{path} is an entry, not a key file", hint=f"mt5crs keys show {file.name}")
    own: dict[str, Any] = {"public_key": file.public, "signing_key": file.signing}
    if isinstance(file, ClientFile):
        own = {"name": file.name, "role": file.role.value, "key_id": file.key_id, **own}
        own |= {"gateway_public_key": file.gateway, "gateway_signing_key": file.gateway_signing}
    kind = "client" if isinstance(file, ClientFile) else "gateway"
    return {"kind": kind, **own, "encrypted": "yes" if file.sealed else "no"}
