"""`python -I -S launch.py CONTROL`: becomes the sandbox, then runs one program after the other in it.

Two processes: the outer one makes the namespaces and waits; the inner one is the first process of the new pid
namespace, gives up everything and then forks for every program, so that a program costs a fork and not a start of
Python. When the worker goes, or either of the two, the kernel kills whatever is left inside. `CONTROL` is a Unix socket
of packets; the answers of a program never travel on it.
"""

import os
import sys
import types

HERE = os.path.dirname(os.path.realpath(__file__))
PACKAGE = "workers.tasks.sandbox"
for name in ("workers", "workers.tasks", PACKAGE):  # without running their __init__: the library is all there is here
    sys.modules[name] = types.ModuleType(name)
sys.modules[PACKAGE].__path__ = [HERE]

import json  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import time  # noqa: E402
from typing import TypedDict  # noqa: E402

from workers.tasks.sandbox import confine, harness, preload, seccomp  # noqa: E402

CONTROL, CHANNEL = 3, 3
"""the descriptor of the control socket here, and of a program's private channel in its own process"""
MEGABYTE = 1 << 20
PACKET = 4096
"""bytes of a control packet: a few short fields"""
END = b"end"
"""the control packet that ends the running program"""
PROCESS_CLOCK = 2
"""CPUCLOCK_SCHED: the processor time of all threads of a process"""
PROCESSORS = os.cpu_count() or 1
"""seconds of processor time that a program can use in a second"""
SHORTEST_WAIT = 0.002
"""seconds between two looks at the clock, which bound how late a program is killed"""


def main() -> None:
    """Confine this process, then serve."""
    given = int(sys.argv[1])
    if given != CONTROL:
        os.dup2(given, CONTROL, inheritable=False)
        os.close(given)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, CONTROL)
    try:
        preload.preload()
        as_root, space = os.geteuid() == 0, confine.address_space()
        if os.uname().machine not in seccomp.MACHINES:
            raise confine.Refused("seccomp", f"there is no table of system calls for {os.uname().machine}")
        ruleset = confine.landlock_rules()
        library = os.open(confine.standard_library(), os.O_PATH | os.O_CLOEXEC)
        confine.enter_namespaces()
        control.send(b'{"unmapped": true}')
        if not control.recv(PACKET):  # the worker has gone before it mapped the user
            return
        inner = os.fork()
    except (confine.Refused, OSError) as error:
        control.send(json.dumps({"refused": str(error)}).encode())
        return
    if inner:
        watch = select.poll()
        watch.register(control, 0)  # hung up when the worker has gone, whichever of its threads started this
        watch.register(os.pidfd_open(inner), select.POLLIN)
        watch.poll()
        os.kill(inner, signal.SIGKILL)
        return
    try:
        confine.lock_files(ruleset, os.path.realpath(__file__))
        confine.enter_library(library)
        confine.become_nobody(as_root)
        if os.path.exists(os.path.join(HERE, "launch.py")) or os.getpid() != 1:
            raise confine.Refused("chroot", "the files or the processes outside can still be seen")
    except (confine.Refused, OSError) as error:
        control.send(json.dumps({"refused": str(error)}).encode())
        os._exit(1)
    control.send(b'{"ready": true}')
    while _serve(control, space):
        pass
    os._exit(0)


class Job(TypedDict):
    """One program that is to be run."""

    mode: str
    memory_mb: int
    seconds: float
    """of the processor"""


def _serve(control: socket.socket, space: int) -> bool:
    """Run one program; False when the worker has gone."""
    packet, descriptors, _, _ = socket.recv_fds(control, PACKET, 4)
    if not packet:
        return False
    if packet == END:  # for a program that had already ended
        return True
    job: Job = json.loads(packet)
    pid = os.fork()
    if pid == 0:
        _become_program(job, descriptors, space)
    for descriptor in descriptors:
        os.close(descriptor)
    late = _watch(control, pid, job["seconds"])
    _, status, usage = os.wait4(pid, 0)
    ended = {"code": os.waitstatus_to_exitcode(status), "late": late, "seconds": usage.ru_utime + usage.ru_stime}
    control.send(json.dumps(ended).encode())
    return True


def _watch(control: socket.socket, pid: int, seconds: float) -> bool:
    """Wait for the program's end; kill it when the worker asks, or (then True) when its processor time is over."""
    clock = ~pid << 3 | PROCESS_CLOCK  # clock_getcpuclockid(3)
    process = os.pidfd_open(pid)
    ready = select.poll()
    ready.register(process, select.POLLIN)
    ready.register(control, select.POLLIN)
    late = False
    try:
        while True:
            left = seconds - time.clock_gettime(clock)
            if left <= 0:
                late = True
                break
            events = dict(ready.poll(1000 * max(left / PROCESSORS, SHORTEST_WAIT)))
            if process in events:
                return False
            if events:
                control.recv(PACKET)  # END, or nothing: the worker has gone
                break
        os.kill(pid, signal.SIGKILL)
    finally:
        os.close(process)
    return late


def _become_program(job: Job, descriptors: list[int], space: int) -> None:
    """In the forked process: its own four descriptors, its limits, the filter; never returns."""
    code = harness.BROKEN
    try:
        for number, descriptor in enumerate(descriptors):  # these are above 3, so none is overwritten
            os.dup2(descriptor, number)
        os.closerange(CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))
        # the kernel's own limit has whole seconds: it is there in case that the watch fails
        confine.limit_resources(space + job["memory_mb"] * MEGABYTE, int(job["seconds"]) + 2)
        seccomp.install(seccomp.assemble(os.uname().machine, os.getpid()))
    except (confine.Refused, OSError) as error:
        os.write(2, f"the program was not run: {error}".encode())
        os._exit(code)
    try:
        code = harness.run(job["mode"], CHANNEL)
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
