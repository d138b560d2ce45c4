"""The documents are true: their code runs; what they name exists; their tables are the code's."""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer.main

from mt5crs import __version__
from mt5crs.archive.layout import Series
from mt5crs.archive.pull import pull
from mt5crs.cli.app import app
from mt5crs.journal.states import NEXT, NoticeKind, State, Step
from mt5crs.settings import TABLE
from mt5crs.terminal.simulated.faults.plan import KINDS
from mt5crs.terminal.simulated.instruments.loading import load_catalogue
from tests.conftest import ROOT
from tests.processes import Gateway

ENGLISH, CHINESE, SIMULATED, ORDERS = "README.md", "README.zh-CN.md", "docs/simulated.md", "docs/orders.md"
JOURNAL, GUARD, SECURITY = "docs/journal.md", "docs/guard.md", "SECURITY.md"
ARCHIVE, STREAMS = "docs/archive.md", "docs/streams.md"
DOCUMENTS = (
    *(ENGLISH, CHINESE, SIMULATED, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", SECURITY),
    *(
        "docs/protocol.md",
        "docs/retcodes.md",
        "docs/settings.md",
        ORDERS,
        JOURNAL,
        GUARD,
        ARCHIVE,
        STREAMS,
        "docs/fleet.md",
        "docs/deploy.md",
        "docs/doctor.md",
        "docs/audit.md",
        "docs/seed-map.md",
    ),
)
SUFFIXES = r"(?:py|md|json|toml|svg)"
LIMIT = 20.0


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text(name), re.DOTALL)


def prose(name: str) -> str:
    return re.sub(r"```.*?```", "", text(name), flags=re.DOTALL)


def rows(name: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading."""
    section = text(name).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def commands(name: str) -> list[list[str]]:
    """Return the words that follow `mt5crs` in inline code and in shell blocks."""
    shell = "\n".join(blocks(name, "sh") + blocks(name, "bat"))
    lines = re.findall(r"`(?:\S*/)?mt5crs ([^`]+)`", prose(name)) + re.findall(r"^mt5crs (.+)", shell, re.M)
    return [line.split("#")[0].split() for line in lines]


# ---- links and files ----


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_that_exist(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(name))
    local = [link.split("#")[0] for link in links if not re.match(r"https?://|#", link)]
    missing = [link for link in local if not (ROOT / name).parent.joinpath(unquote(link)).exists()]
    assert not missing


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str) -> None:
    named = set(re.findall(rf"`(?:python3? )?((?:[\w.-]+/)*[\w.-]+\.{SUFFIXES})`", prose(name)))
    if name == "ARCHITECTURE.md":
        named |= set(re.findall(rf"(?:\w+/)+\w+\.{SUFFIXES}", "".join(blocks(name, "text"))))
        assert len(named) > 40
    made = {"release.json", "fleet.toml", ".installed.json"}
    theirs = {"TASK_003_SYNC_GUIDE.md", "sitecustomize.py"}  # what users had, and what others may put in
    promised = {"utils.py", *made, *theirs}  # the first is said not to exist
    missing = [
        path
        for path in named - promised
        if not any((folder / path).exists() for folder in (ROOT, ROOT / "src/mt5crs", ROOT / "docs"))
    ]
    assert not missing


def test_every_module_of_the_simulated_terminal_has_its_place() -> None:
    folder = ROOT / "src/mt5crs/terminal/simulated"
    told = set(re.findall(r"`terminal/simulated/([\w/]+\.py)`", text("ARCHITECTURE.md")))
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}
    assert told == {path for path in there if not path.endswith("__init__.py")}


# ---- code ----


def run_code(code: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a program; return what it wrote."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def python_of(name: str) -> list[str]:
    return [ast.unparse(ast.parse(block)) for block in blocks(name, "python")]


def test_both_readmes_show_the_same_code() -> None:
    assert python_of(ENGLISH) == python_of(CHINESE) != []


@pytest.mark.parametrize("number", range(len(blocks(ENGLISH, "python"))))
def test_the_code_of_the_readme_runs(number: int, gateway: Gateway, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MT5_")}
    environment |= {"MT5_HOST": "127.0.0.1", "MT5_PORT": str(gateway.port), "PYTHONUTF8": "1"}
    done = run_code(blocks(ENGLISH, "python")[number], tmp_path, environment)
    assert done
    if "order_send" in blocks(ENGLISH, "python")[number]:
        assert done.startswith("10009 ")


def test_the_code_about_orders_runs(gateway: Gateway, tmp_path: Path) -> None:
    orders, events = blocks(ORDERS, "python")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MT5_")}
    environment |= {"MT5_HOST": "127.0.0.1", "MT5_PORT": str(gateway.port), "PYTHONUTF8": "1"}
    done = run_code(orders, tmp_path, environment)
    assert done.splitlines()[1:] == ["True", "done"]
    assert run_code(events, tmp_path, environment) == "", "nobody was ever subscribed"


@pytest.mark.parametrize("number", range(len(blocks(STREAMS, "python"))))
def test_the_code_about_streams_runs(number: int, gateway: Gateway, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MT5_")}
    environment |= {"MT5_HOST": "127.0.0.1", "MT5_PORT": str(gateway.port), "PYTHONUTF8": "1"}
    assert run_code(blocks(STREAMS, "python")[number], tmp_path, environment)


@pytest.mark.parametrize("number", range(len(blocks(SIMULATED, "python"))))
def test_the_code_of_the_guide_runs(number: int, tmp_path: Path) -> None:
    code = blocks(SIMULATED, "python")[number]
    assert run_code(code, tmp_path, dict(os.environ))


@pytest.fixture(scope="module")
def prices(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive of the last days."""
    folder = tmp_path_factory.mktemp("archive")
    with gateway.client() as client:
        tick = client.symbol_info_tick("EURUSD")
        assert tick is not None
        wanted = [Series("EURUSD", tf) for tf in ("M1", "tick")]
        done = pull(client, folder / "prices", wanted, tick.time - 3600)
    assert [each.failure for each in done] == [None, None]
    return folder


@pytest.mark.parametrize("number", range(len(blocks(ARCHIVE, "python"))))
def test_the_code_about_archives_runs(number: int, prices: Path) -> None:
    assert "EURUSD" in run_code(blocks(ARCHIVE, "python")[number], prices, dict(os.environ))


def test_the_instruments_of_the_guide_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "more.toml"
    path.write_text(blocks(SIMULATED, "toml")[0], encoding="utf-8")
    assert load_catalogue(path).symbols["EURNOK"].currency_profit == "NOK"


def test_the_guide_lists_the_faults_that_there_are() -> None:
    table = text(SIMULATED).partition("| kind | what happens |")[2].partition("\n\n")[0]
    listed = re.findall(r"^\| (.*?) \|", table, re.M)
    assert {name for cell in listed for name in re.findall(r"`(\w+)`", cell)} == set(KINDS)


# ---- commands ----


def known(words: list[str]) -> Iterator[str]:
    """Yield what is wrong with a command."""
    context = typer.main.get_command(app)
    path = iter(words)
    for word in path:
        inner = getattr(context, "commands", {}).get(word)
        if inner is None:
            yield f"no command {word!r}"
            return
        context = inner
        if not hasattr(inner, "commands"):
            break
    options = {option for parameter in context.params for option in parameter.opts}
    yield from (
        f"{words}: no option {word}" for word in path if word.startswith("--") and word not in options
    )


@pytest.mark.parametrize(
    "name",
    [ENGLISH, CHINESE, SIMULATED, ORDERS, JOURNAL, SECURITY, ARCHIVE, "ARCHITECTURE.md", "docs/protocol.md"],
)
def test_commands_and_their_options_exist(name: str) -> None:
    assert [wrong for words in commands(name) for wrong in known(words)] == []


def test_both_readmes_name_the_same_commands_and_all_of_them() -> None:
    assert sorted(commands(ENGLISH)) == sorted(commands(CHINESE))
    top = getattr(typer.main.get_command(app), "commands", {})
    told = {words[0] for words in commands(ENGLISH)}
    assert told == set(top)
    for group in ("keys", "journal"):
        assert {tuple(words[:2]) for words in commands(ENGLISH) if words[0] == group} == {
            (group, name) for name in top[group].commands
        }


@pytest.mark.parametrize("name", [ENGLISH, CHINESE, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_make_targets_exist(name: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", text("Makefile"), re.M))
    inline = re.findall(r"`make ([\w-]+)", prose(name))
    shell = re.findall(r"^make ([\w-]+)", "\n".join(blocks(name, "sh")), re.M)
    assert set(inline + shell) <= targets
    assert inline + shell


# ---- tables ----


def test_the_floors_are_those_that_import_linter_holds() -> None:
    listed = re.findall(r"^layers = \[\n(.*?)^\]", text("pyproject.toml"), re.M | re.DOTALL)[0]
    layers = re.findall(r'"([^"]+)"', listed)
    told = [
        (int(floor), re.findall(r"`([\w.]+)`", modules))
        for floor, modules, _ in rows("ARCHITECTURE.md", "The floors")
    ]
    assert [modules for _, modules in told] == [layer.split(" | ") for layer in layers]
    assert [floor for floor, _ in told] == list(range(len(layers)))[::-1]


def test_the_numbers_are_those_of_the_code() -> None:
    table = rows("ARCHITECTURE.md", "Numbers")
    assert table
    for name, value, where in table:
        module = importlib.import_module("mt5crs." + where.strip("`").removesuffix(".py").replace("/", "."))
        assert getattr(module, name.strip("`")) == float(value.split()[0]), name


@pytest.mark.parametrize(("name", "heading"), [(ENGLISH, "Settings"), (CHINESE, "设置")])
def test_the_settings_are_those_of_the_code(name: str, heading: str) -> None:
    told = [(variable.strip("`"), default) for variable, default, _ in rows(name, heading)]
    assert [variable for variable, _ in told] == [setting.variable for setting in TABLE]
    for (_, default), setting in zip(told, TABLE, strict=True):
        value = setting.default
        shown = (
            {"none", "无"} if value is None else {f"{value:g}" if isinstance(value, float) else str(value)}
        )
        assert default in shown


@pytest.mark.parametrize(("name", "heading"), [(ENGLISH, "When something fails"), (CHINESE, "出错时")])
def test_the_errors_exist(name: str, heading: str) -> None:
    errors = importlib.import_module("mt5crs.errors")
    for first, *_ in rows(name, heading):
        (kind,) = re.findall(r"`(\w+)`", first)
        assert issubclass(getattr(errors, kind), errors.BridgeError)


def test_the_version_is_in_the_changelog() -> None:
    assert f"## [{__version__}]" in text("CHANGELOG.md")
    assert f"Not in {__version__}:" in text(ENGLISH)


def test_the_steps_of_an_order_are_those_of_the_code() -> None:
    told = {
        (State(state), Step(re.findall(r"`(\w+)`", by)[0])): State(to)
        for states, by, to in rows(ORDERS, "The journal")[: len(Step)]
        for state in states.split(", ")
    }
    assert told == NEXT


def test_the_notices_are_those_of_the_code() -> None:
    told = [kind.strip("`") for kind, _ in rows(JOURNAL, "Notices")]
    assert told == [kind.value for kind in NoticeKind]


# ---- figures ----

FIGURE = re.compile(r"\*\*(\d+(?:\.\d+)?) (x|MB|%)\*\*")
"""How a measured figure is written in a README: bold, with its unit."""


@pytest.mark.parametrize("name", [ENGLISH, CHINESE])
def test_figures_that_are_quoted_were_measured(name: str) -> None:
    """A README without figures, which shows the picture alone, is as good."""
    quoted = FIGURE.findall(text(name))
    if not quoted:
        return
    measured = json.loads(text("docs/bench.json"))["figures"]
    report = importlib.import_module("benchmarks.report")
    shown = {report.shown(figure["value"], figure["unit"]) for figure in measured}
    assert {f"{value} {unit}" for value, unit in quoted} <= shown


def test_the_picture_is_one_of_a_run_that_went_well() -> None:
    picture = text("docs/demo.svg").replace("&#160;", " ")
    for sign in ("OK_FROM_MT5", "10009", "nothing is left running"):
        assert sign in picture
    assert "@font-face" not in picture


@pytest.mark.parametrize("page", ["compatibility", "retcodes", "settings"])
def test_a_made_page_is_what_its_tables_make(page: str) -> None:
    done = subprocess.run(
        [sys.executable, f"docs/{page}.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
