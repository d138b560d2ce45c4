"""The entry point that needs only a checkout and pyzmq, as real processes against real sockets."""

import ast
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

import pytest
import zmq

from client.mt5_connector import MT5Client
from mt5crs.errors import SettingError

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "src" / "client" / "mt5_connector.py"
LOOPBACK = "tcp://127.0.0.1"
PATIENCE = 60.0
"""Seconds after which something that must happen counts as not happening."""

Answer = Callable[[list[bytes]], list[bytes] | None]


class Peer:
    """A gateway of a few lines, in a thread.

    Args:
        answer: Makes the answer to a request; None leaves it without.
        port: Where to listen; 0 for any free port.
    """

    def __init__(self, answer: Answer | None = None, port: int = 0) -> None:
        self.asked = threading.Event()
        self.port = port
        self._answer = answer or (lambda request: [b"OK_FROM_MT5"] if request == [b"Hello"] else [b"?"])
        self._ready = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._stop = self._context.socket(zmq.PAIR)
        self._stop.bind("inproc://stop")
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Peer":
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.send(b"")
        self._thread.join(PATIENCE)
        self._stop.close()
        self._context.term()  # the port is free again when this returns

    def _serve(self) -> None:
        # A ROUTER is to a REQ peer what a REP is, but it may leave a request without an answer.
        with self._context.socket(zmq.ROUTER) as server, self._context.socket(zmq.PAIR) as stop:
            server.linger = 0
            stop.connect("inproc://stop")
            self.port = server.bind_to_random_port(LOOPBACK) if not self.port else self._bind(server)
            self._ready.set()
            poller = zmq.Poller()
            poller.register(server, zmq.POLLIN)
            poller.register(stop, zmq.POLLIN)
            while stop not in dict(poller.poll()):
                sender, empty, *request = server.recv_multipart()
                reply = self._answer(request)
                if reply is not None:
                    server.send_multipart([sender, empty, *reply])
                self.asked.set()

    def _bind(self, server: zmq.Socket[bytes]) -> int:
        server.bind(f"{LOOPBACK}:{self.port}")
        return self.port


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a directory without `.env`, in an environment without settings."""
    for name in [name for name in os.environ if name.startswith("MT5_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Return a port that nobody listens on, and that nobody else can take meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pyzmq and nothing else to import."""
    folder = tmp_path_factory.mktemp("bare")
    package = Path(zmq.__file__).parent
    for name in ("zmq", "pyzmq.libs"):
        if (package.parent / name).is_dir():
            shutil.copytree(package.parent / name, folder / name, ignore=shutil.ignore_patterns("tests"))
    return folder


def run(
    *arguments: object,
    path: Path | None = None,
    environ: Mapping[str, str] = {},
    python: str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Run the entry point with an own Python that finds no installed package but those in `path`."""
    return subprocess.run(
        [python, "-S", SCRIPT, *map(str, arguments)],
        env={**environment(path), **environ},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=PATIENCE,
    )


def environment(path: Path | None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return inherited | {"PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(path or "")}


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    return text.rstrip()


class TestBareCheckout:
    def test_only_pyzmq_is_there(self, bare: Path) -> None:
        script = "import importlib.util as u; print([bool(u.find_spec(n)) for n in "
        script += "('zmq', 'msgspec', 'numpy', 'dotenv', 'mt5crs')])"
        seen = subprocess.run(
            [sys.executable, "-S", "-c", script],
            env=environment(bare),
            capture_output=True,
            text=True,
            check=True,
        )
        assert seen.stdout.strip() == "[True, False, False, False, False]"

    def test_a_gateway_that_answers(self, bare: Path) -> None:
        with Peer() as peer:
            done = run("--port", peer.port, path=bare)
        line = one_line(done.stdout)
        assert line.startswith(f"[✓] OK_FROM_MT5 from 127.0.0.1:{peer.port} in ")
        assert float(line.split()[-2]) > 0
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_plain_rep_socket_will_do(self, bare: Path) -> None:
        script = (
            "import zmq\n"
            "server = zmq.Context().socket(zmq.REP)\n"
            "print(server.bind_to_random_port('tcp://127.0.0.1'), flush=True)\n"
            "print(server.recv(), flush=True)\n"
            "server.send(b'OK_FROM_MT5')\n"
        )
        with subprocess.Popen(
            [sys.executable, "-S", "-c", script], env=environment(bare), stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            try:
                assert run("--port", server.stdout.readline().strip(), path=bare).returncode == 0
                assert server.stdout.readline().strip() == "b'Hello'"
            finally:
                server.kill()

    def test_settings_from_the_environment_and_a_file(self, bare: Path, elsewhere: Path) -> None:
        with Peer() as peer:
            (elsewhere / ".env").write_text(f"MT5_HOST=127.0.0.1  # here\nMT5_PORT={peer.port}\n")
            assert run(path=bare).returncode == 0
            (elsewhere / ".env").write_text("MT5_PORT=1\n")
            assert run(path=bare, environ={"MT5_PORT": str(peer.port)}).returncode == 0

    def test_nothing_listens(self, bare: Path, silent_port: int) -> None:
        done = run("--port", silent_port, "--timeout", 0.2, path=bare)
        assert done.stdout == "[✗] Connection timeout\n"
        assert one_line(done.stderr).startswith(f"No answer from 127.0.0.1:{silent_port} in 0.2 s: ")
        assert done.returncode == 1

    def test_a_listener_that_says_nothing(self, bare: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            done = run("--port", listener.getsockname()[1], "--timeout", 0.2, path=bare)
        assert (done.returncode, done.stdout) == (1, "[✗] Connection timeout\n")

    @pytest.mark.parametrize(
        ("answer", "shown"),
        [([b"NO"], "b'NO'"), ([b"OK_FROM_MT5", b"2"], "b'OK_FROM_MT5' b'2'"), ([b"x" * 9999], "b'xxxx")],
    )
    def test_a_wrong_answer(self, bare: Path, answer: list[bytes], shown: str) -> None:
        with Peer(lambda _: answer) as peer:
            done = run("--port", peer.port, path=bare)
        assert (done.returncode, done.stdout) == (1, "")
        line = one_line(done.stderr)
        assert line.startswith(f"[✗] 127.0.0.1:{peer.port} answered {shown}")
        assert len(line) < 200

    def test_help(self, bare: Path) -> None:
        for path in (bare, None):  # also before pyzmq is installed
            done = run("--help", path=path)
            assert (done.returncode, done.stderr) == (0, "")
            assert all(word in done.stdout for word in ("--host", "--port", "--timeout", "MT5_HOST"))

    def test_without_pyzmq(self) -> None:
        done = run()
        assert (done.returncode, done.stdout) == (2, "")
        assert "-m pip install pyzmq" in one_line(done.stderr)

    def test_a_wrong_setting(self, bare: Path, elsewhere: Path) -> None:
        done = run("--port", "abc", path=bare)
        assert (done.returncode, done.stdout) == (2, "")
        right = "a port is a number from 1 to 65535"
        assert one_line(done.stderr) == f"MT5_PORT is 'abc' (from the argument port): {right}"
        (elsewhere / ".env").write_text("MT5_HOST=192.168.x.x\n")
        assert "the address of the GTW node" in one_line(run(path=bare).stderr)
        (elsewhere / ".env").write_text("MT5_HOST 192.168.1.7\n")
        assert "line 1 is not of the form NAME=value" in one_line(run(path=bare).stderr)

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
    def test_a_terminal_of_an_old_encoding(self, bare: Path, silent_port: int, encoding: str) -> None:
        environ = {"PYTHONIOENCODING": encoding}
        with Peer() as peer:
            done = run("--port", peer.port, path=bare, environ=environ)
        assert done.stdout.startswith("[?] OK_FROM_MT5 from ")
        assert (done.returncode, done.stderr) == (0, "")
        done = run("--port", silent_port, "--timeout", 0.1, path=bare, environ=environ)
        assert (done.returncode, done.stdout) == (1, "[?] Connection timeout\n")

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot interrupt one process alone")
    def test_interrupted(self, bare: Path) -> None:
        # A shell's background job would hand on that interrupts are ignored.
        script = (
            "import runpy, signal, sys\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "del sys.argv[0]\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        )
        with (
            Peer(lambda _: None) as peer,
            subprocess.Popen(
                [sys.executable, "-S", "-c", script, SCRIPT, "--port", str(peer.port), "--timeout", "300"],
                env=environment(bare),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as client,
        ):
            try:
                assert peer.asked.wait(PATIENCE)
                client.send_signal(signal.SIGINT)
                out, err = client.communicate(timeout=PATIENCE)
            finally:
                client.kill()
        assert (client.returncode, out, err) == (130, "", "Interrupted\n")

    def test_an_old_python_can_read_it_and_is_refused(self) -> None:
        for file in (
            SCRIPT,
            ROOT / "src" / "mt5crs" / "__init__.py",
            ROOT / "src" / "mt5crs" / "_version.py",
        ):
            ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 9))
        old = python39()
        if old is not None:
            for arguments in ([], ["--help"]):
                done = run(*arguments, python=old)
                assert (done.returncode, done.stdout) == (2, "")
                assert one_line(done.stderr).startswith("mt5crs needs Python 3.10 or newer, this is 3.9")


def python39() -> str | None:
    """Return a Python 3.9 that runs, if this machine has one."""
    installed = sorted(Path.home().glob(".pyenv/versions/3.9*/bin/python"))
    for candidate in [shutil.which("python3.9"), *map(str, installed)]:
        if candidate is not None:
            asked = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
            if asked.returncode == 0 and asked.stdout.startswith("Python 3.9"):
                return candidate
    return None


class TestMT5Client:
    def test_round_trip(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Peer() as peer, MT5Client("127.0.0.1", peer.port, PATIENCE) as client:
            assert client.connect()
            assert client.test_connection()
            assert client.round_trip is not None
            assert client.round_trip > 0
        assert capsys.readouterr().out.startswith(f"[✓] OK_FROM_MT5 from 127.0.0.1:{peer.port} in ")

    def test_values_not_given_come_from_the_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MT5_HOST", "gateway")
        client = MT5Client(timeout=1)
        assert (client.host, client.port, client.timeout) == ("gateway", 5555, 1.0)
        with pytest.raises(SettingError, match="MT5_PORT is 0"):
            MT5Client(port=0)

    def test_it_works_again_when_the_gateway_is_back(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Peer() as peer:
            client = MT5Client("127.0.0.1", peer.port, PATIENCE)
            assert client.test_connection()
        client.timeout = 0.1
        assert not client.test_connection()
        assert not client.test_connection()
        assert client.round_trip is None
        assert capsys.readouterr().out.count("[✗] Connection timeout\n") == 2
        client.timeout = PATIENCE
        with Peer(port=peer.port):
            assert client.test_connection()
        client.disconnect()

    def test_a_lost_answer_does_not_stop_the_next(self) -> None:
        answering = threading.Event()
        with (
            Peer(lambda _: [b"OK_FROM_MT5"] if answering.is_set() else None) as peer,
            MT5Client("127.0.0.1", peer.port, 0.1) as client,
        ):
            while not peer.asked.is_set():  # on a slow machine not even the request arrives in that time
                assert not client.test_connection()
            answering.set()
            client.timeout = PATIENCE
            assert client.test_connection()

    def test_a_wrong_answer_does_not_stop_the_next(self, capsys: pytest.CaptureFixture[str]) -> None:
        answers = [[b"NO"], [b"OK_FROM_MT5"]]
        with Peer(lambda _: answers.pop(0)) as peer, MT5Client("127.0.0.1", peer.port, PATIENCE) as client:
            assert not client.test_connection()
            assert "answered b'NO' instead of OK_FROM_MT5" in capsys.readouterr().err
            assert client.test_connection()

    def test_it_can_be_disconnected_and_used_again(self) -> None:
        with Peer() as peer:
            client = MT5Client("127.0.0.1", peer.port, PATIENCE)
            client.disconnect()
            assert client.connect()
            client.disconnect()
            client.disconnect()
            assert client.test_connection()
            client.disconnect()

    def test_an_address_that_cannot_be_used(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refuse(*_: object) -> None:
            raise zmq.ZMQError(zmq.EINVAL)

        monkeypatch.setattr(zmq.Socket, "connect", refuse)
        client = MT5Client("127.0.0.1", 5555)
        assert not client.connect()
        assert not client.test_connection()
        assert capsys.readouterr().err.count("[✗] Cannot connect to 127.0.0.1:5555: Invalid argument\n") == 2
