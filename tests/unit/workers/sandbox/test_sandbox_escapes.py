# ruff: noqa: E501 - one program a line
"""What a hostile program tries. Each attempt prints ESCAPED where it works, and is shown to work outside."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.tasks.sandbox import Status

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve()
SECRET = "sandbox-secret-59204"

START = """
import ctypes, errno, os, signal, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
given = sys.stdin.read()
def escaped(found):
    print("ESCAPED" if found else "nothing found")
"""

PROCESSES = {
    "os.system": "escaped(os.system('exit 7') == 7 << 8)",
    "subprocess": "import subprocess; escaped(subprocess.run(['/bin/echo', 'x'], stdout=-1).stdout)",
    "fork": "pid = os.fork(); os._exit(0) if pid == 0 else escaped(os.waitpid(pid, 0))",
    "spawn": "escaped(os.posix_spawn('/bin/true', ['true'], {}) > 0)",
    "pty": "import pty; pid, _ = pty.fork(); os._exit(0) if pid == 0 else escaped(pid)",
    "exec": "os.execv('/bin/echo', ['echo', 'ESCAPED'])",
    "exec of a memory file": """
descriptor = os.memfd_create("x")
os.write(descriptor, open("/bin/echo", "rb").read())
os.execve(descriptor, ["echo", "ESCAPED"], {})""",
    "multiprocessing": "import multiprocessing as m; p = m.get_context('fork').Process(target=print); p.start(); escaped(1)",
    "libc's fork": "pid = libc.fork(); os._exit(0) if pid == 0 else escaped(pid > 0)",
    "libc's system": "escaped(libc.system(b'exit 7') == 7 << 8)",
    "daemon": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: time.sleep(0.1)
    os._exit(0)
escaped(True)""",
}
NETWORK = {
    "tcp": "escaped(socket.create_connection(('127.0.0.1', int(given))))",
    "tcp by ctypes": "escaped(libc.socket(2, 1, 0) >= 0)",
    "udp": "escaped(socket.socket(2, 2).sendto(b'x', ('127.0.0.1', int(given))))",
    "ipv6": "escaped(socket.socket(10, 1))",
    "unix": "escaped(socket.socket(1, 1))",
    "abstract unix": "s = socket.socket(1, 1); s.connect('\\0gapcast-test-' + given); escaped(True)",
    "datagram to a path": "a, b = socket.socketpair(1, 2); escaped(a)",
    "netlink": "escaped(socket.socket(16, 3, 0))",
    "descriptor passing": "a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [0]); escaped(True)",
    "name look-up": "escaped(socket.getaddrinfo('localhost', 80))",
}
FILES = {
    "passwd": "escaped(open('/etc/passwd').read())",
    "dots": "escaped(open('/../../../../../../etc/passwd').read())",
    "this repository": f"escaped(open({str(HERE)!r}).read())",
    "the launcher": f"escaped(open({str(HERE.parents[4] / 'workers/tasks/sandbox/launch.py')!r}).read())",
    "its own environment": "escaped(open('/proc/self/environ').read() is not None)",
    "its own memory": "escaped(open('/proc/self/mem', 'rb'))",
    "the worker's environment": f"escaped({SECRET!r} in open('/proc/{os.getpid()}/environ').read() or True)",
    "the worker's memory": f"escaped(open('/proc/{os.getpid()}/mem', 'rb'))",
    "the worker's files": f"escaped(os.listdir('/proc/{os.getpid()}/fd'))",
    "processes": "escaped(os.listdir('/proc'))",
    "sys": "escaped(os.listdir('/sys'))",
    "home": f"escaped(os.listdir({str(Path.home())!r}))",
    "only to look": f"os.stat({str(HERE)!r}); escaped(True)",
    "null": "escaped(open('/dev/null'))",
    "write": "open('/tmp/gapcast-escape', 'w').close(); os.unlink('/tmp/gapcast-escape'); escaped(True)",
    "write beside the library": "open('gapcast-escape', 'w').close(); os.unlink('gapcast-escape'); escaped(True)",
    "folder": "os.mkdir('gapcast-escape'); os.rmdir('gapcast-escape'); escaped(True)",
    "symbolic link": "os.symlink('/etc/passwd', 'gapcast-l'); os.unlink('gapcast-l'); escaped(True)",
    "hard link": "os.link('/tmp/.x' if os.path.exists('/tmp/.x') else sys.executable, 'gapcast-h'); escaped(True)",
    "memory file": "escaped(os.memfd_create('x') >= 0)",
    "temporary file": "import tempfile; escaped(tempfile.TemporaryFile())",
    "shared memory": "from multiprocessing.shared_memory import SharedMemory; escaped(SharedMemory('x', True, 9).unlink() or 1)",
    "fill the disk": "f = open('fill', 'wb'); os.unlink('fill'); f.write(bytes(1 << 20)); f.flush(); escaped(True)",
    "chdir": "os.chdir('/'); escaped(os.path.exists('etc/passwd'))",
}
OTHERS = {
    "a signal to another": f"os.kill({os.getpid()}, 0); escaped(True)",
    "environment": f"escaped({SECRET!r} in os.environ.get('GAPCAST_SECRET', ''))",
    "environment by ctypes": "escaped(libc.getenv(b'GAPCAST_SECRET'))",
    "descriptors": """
found = []
for descriptor in range(3, 1024):
    try: found.append(os.fstat(descriptor))
    except OSError: pass
escaped(found)""",
    "executable memory": "import mmap; escaped(mmap.mmap(-1, 4096, prot=7))",
    "made executable": """
import mmap
memory = mmap.mmap(-1, 4096)
at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
escaped(libc.mprotect(ctypes.c_void_p(at), 4096, 5) == 0)""",
    "executable library, written": """
import _ctypes, mmap
f = open('/lib-dynload/' + os.path.basename(_ctypes.__file__) if os.path.exists('/lib-dynload') else _ctypes.__file__, 'rb')
escaped(mmap.mmap(f.fileno(), 4096, flags=mmap.MAP_PRIVATE, prot=7))""",
    "nested user namespace": "escaped(libc.unshare(0x10000000) == 0)",
    "higher limits": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)); escaped(True)",
    "another name for the process": "escaped(libc.prctl(4, 1, 0, 0, 0) == 0)",
    "session": "os.setpgid(0, 0); escaped(True)",
    "file lock": "import fcntl; fcntl.flock(sys.stderr.fileno(), fcntl.LOCK_EX); escaped(True)",
    "processor": "os.sched_setaffinity(0, os.sched_getaffinity(0)); escaped(True)",
    "priority": "os.nice(1); escaped(True)",
    "host name": "escaped(os.uname().nodename == given)",
}


@pytest.fixture(scope="module")
def listening() -> Iterator[str]:
    """The number of a port where somebody listens on TCP, UDP and an abstract Unix socket."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(f"\0gapcast-test-{port}")
            unix.listen()
            yield str(port)


def outside(program: str, given: str, folder: Path) -> str:
    environment = {"GAPCAST_SECRET": SECRET}
    arguments = [sys.executable, "-I", "-S", "-c", program]
    with (folder / "open").open("w") as file:
        ended = subprocess.run(
            arguments,
            input=given,
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            pass_fds=[file.fileno()],
        )
    return ended.stdout


@pytest.mark.parametrize("name", [*PROCESSES, *FILES, *NETWORK, *OTHERS])
def test_an_attempt_escapes_outside_and_not_inside(
    name: str, attempt, listening: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPCAST_SECRET", SECRET)
    program = START + {**PROCESSES, **FILES, **NETWORK, **OTHERS}[name]
    given = os.uname().nodename if name == "host name" else listening
    inside = attempt(program, given)
    assert b"ESCAPED" not in inside.stdout
    assert inside.status in {Status.ok, Status.error}, inside
    assert "rror" in inside.stderr_tail or inside.stdout == b"nothing found\n", inside
    assert "SyntaxError" not in inside.stderr_tail
    assert "ESCAPED" in outside(program, given, tmp_path), "the attempt itself is broken"
