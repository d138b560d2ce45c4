"""`mt5crs keys`: make and list the keys of a gateway and its clients."""

from pathlib import Path
from typing import Annotated

import typer

from mt5crs.cli.options import written
from mt5crs.cli.output import Output, Table, field
from mt5crs.cli.report import Failure
from mt5crs.security.policy import Role

Folder = Annotated[Path, typer.Option("--keys", metavar="DIR", help="The gateway's folder of keys.")]
DEFAULT = Path("keys")

app = typer.Typer(help="Make and list the keys of a gateway and its clients.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="keys")


@app.command()
def init(folder: Folder = DEFAULT) -> None:
    """Make a gateway's folder and its own keys."""
    from mt5crs.security.keys import create_gateway

    try:
        path = create_gateway(folder)
    except OSError as error:
        raise Failure(f"{folder} cannot be made: {error.strerror or error}", code=2) from None
    typer.echo(f"made {path}: keep it secret, and on the gateway's machine")
    typer.echo(f"next: mt5crs keys new NAME --role trader --keys {folder}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The client's name: letters, digits, - and _.")],
    role: Annotated[Role, typer.Option(help="What the client may do.")] = Role.OBSERVER,
    folder: Folder = DEFAULT,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The client's file; NAME.key without it.")
    ] = None,
) -> None:
    """Make the keys of a client, and let the gateway know it."""
    from mt5crs.security.keys import create_client

    path = create_client(folder, name, role, out or Path(f"{name}.key"))
    typer.echo(f"made {path} for {name} ({role.value}): move it to the client, and name it in MT5_KEYS there")
    typer.echo("a gateway that runs must be started again to know the new client")


@written(app, "list")
def list_(output: Output, folder: Folder = DEFAULT) -> None:
    """List the clients that a gateway knows."""
    from mt5crs.security.keys import GatewayKeys

    clients = GatewayKeys.load(folder).clients
    rows = [
        {"name": principal.name, "role": principal.role.value, "public_key": public.decode()}
        for public, principal in clients.items()
    ]
    columns = (field("name"), field("role"), field("public_key", "public key"))
    output.write(Table(f"clients of {folder}", columns, ("name", "role", "public_key"), rows))
