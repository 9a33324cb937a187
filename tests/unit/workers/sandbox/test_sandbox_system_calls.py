"""The filter by itself: interpreted for both machines, and as the kernel applies it."""

import ctypes
import errno
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workers.tasks.sandbox import Status, seccomp
from workers.tasks.sandbox.seccomp import ALLOW, CHECKED, KILL_PROCESS, MACHINES, MISSING, PLAIN, REFUSE, assemble

X86 = platform.machine() == "x86_64"

REFUSED = {  # name: x86_64, aarch64
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "kill": (62, 129),
    "tkill": (200, 130), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "setsockopt": (54, 208), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428),
    "fsopen": (430, 430), "unshare": (272, 97), "setns": (308, 268), "keyctl": (250, 219), "add_key": (248, 217),
    "bpf": (321, 280), "perf_event_open": (298, 241), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "userfaultfd": (323, 282), "kexec_load": (246, 104), "init_module": (175, 105), "finit_module": (313, 273),
    "reboot": (169, 142), "memfd_create": (319, 279), "memfd_secret": (447, 447), "seccomp": (317, 277),
    "personality": (135, 92), "setuid": (105, 146), "setresuid": (117, 147), "capset": (126, 91),
    "setrlimit": (160, 164), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "setpriority": (141, 140),
    "truncate": (76, 45), "ftruncate": (77, 46), "unlink": (87, None), "unlinkat": (263, 35), "mkdirat": (258, 34),
    "mknodat": (259, 33), "symlinkat": (266, 36), "linkat": (265, 37), "renameat2": (316, 276), "fchmodat": (268, 53),
    "fchownat": (260, 54), "utimensat": (280, 88), "openat2": (437, 437), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "fanotify_init": (300, 262), "inotify_init1": (294, 26), "shmget": (29, 194),
    "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180), "chdir": (80, 49),
    "fchdir": (81, 50), "setsid": (112, 157), "setpgid": (109, 154), "syslog": (103, 116), "quotactl": (179, 60),
    "swapon": (167, 224), "acct": (163, 89), "splice": (275, 76), "tee": (276, 77), "vmsplice": (278, 75),
    "pkey_mprotect": (329, 288), "modify_ldt": (154, None), "ioperm": (173, None), "arch_prctl": (158, None),
    "timer_create": (222, 107), "rt_sigqueueinfo": (129, 138), "landlock_restrict_self": (446, 446),
}  # fmt: skip


def verdict(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the filter says to a system call: a small interpreter of its instructions."""
    data = number.to_bytes(4, "little") + (MACHINES[machine][0] if arch is None else arch).to_bytes(4, "little")
    data += bytes(8) + b"".join((value & (1 << 64) - 1).to_bytes(8, "little") for value in arguments)
    data = data.ljust(64, b"\0")
    program, at, held = assemble(machine, 1234), 0, 0
    while True:
        code, yes, no, value = program[at]
        at += 1
        match code:
            case 0x20:
                held = int.from_bytes(data[value : value + 4], "little")
            case 0x54:
                held &= value
            case 0x15:
                at += yes if held == value else no
            case 0x35:
                at += yes if held >= value else no
            case 0x45:
                at += yes if held & value else no
            case 0x06:
                return value
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def number(machine: str, name: str) -> int:
    found = (CHECKED[name][:2] if name in CHECKED else PLAIN[name])[MACHINES[machine][1]]
    assert found is not None
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_allows_what_is_listed_and_refuses_the_rest(machine: str) -> None:
    column = MACHINES[machine][1]
    for name, numbers in PLAIN.items():
        if numbers[column] is not None:
            assert verdict(machine, numbers[column]) == ALLOW, name
    for name, numbers in REFUSED.items():
        if numbers[column] is not None:
            assert verdict(machine, numbers[column]) == REFUSE, name
    known = {pair[column] for pair in PLAIN.values()} | {rule[column] for rule in CHECKED.values()}
    assert all(verdict(machine, n) in {REFUSE, MISSING} for n in range(600) if n not in known)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_call_of_another_architecture_or_convention_kills(machine: str) -> None:
    for arch in {0x40000003, 0xC000003E, 0xC00000B7, 0x40000028} - {MACHINES[machine][0]}:
        assert verdict(machine, 0, arch=arch) == KILL_PROCESS
    if machine == "x86_64":
        assert verdict(machine, 0x40000000 | 39) == KILL_PROCESS


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("clone", (0x3D0F00,), ALLOW),
        ("clone", (0x7D0F00,), ALLOW),
        ("clone", (17,), REFUSE),
        ("clone", (0x01200011,), REFUSE),
        ("clone", (0x4111,), REFUSE),
        ("clone", (0x3D0F00 | 0x10000000,), REFUSE),
        ("clone", (0x3D0F00 | 0x40000000,), REFUSE),
        ("clone", (0x3D0F00 | 0x2000,), REFUSE),
        ("mmap", (0, 4096, 3, 0x22), ALLOW),
        ("mmap", (0, 4096, 5, 0x02), ALLOW),
        ("mmap", (0, 4096, 5, 0x22), REFUSE),
        ("mmap", (0, 4096, 7, 0x02), REFUSE),
        ("mmap", (0, 4096, 7, 0x22), REFUSE),
        ("mprotect", (0, 4096, 3), ALLOW),
        ("mprotect", (0, 4096, 4), REFUSE),
        ("mprotect", (0, 4096, 7), REFUSE),
        ("openat", (0, 0, os.O_RDONLY | os.O_CLOEXEC), ALLOW),
        ("openat", (0, 0, os.O_WRONLY), REFUSE),
        ("openat", (0, 0, os.O_RDWR), REFUSE),
        ("openat", (0, 0, os.O_RDONLY | os.O_TRUNC), REFUSE),
        ("openat", (0, 0, os.O_RDONLY | os.O_CREAT), REFUSE),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), REFUSE),
        ("ioctl", (0, 1 << 32 | 0x5412), REFUSE),
        ("fcntl", (0, 1030), ALLOW),
        ("fcntl", (0, 1031), REFUSE),
        ("prctl", (15,), ALLOW),
        ("prctl", (22,), REFUSE),
        ("prlimit64", (0, 7, 0, 1), ALLOW),
        ("prlimit64", (0, 7, 1 << 40, 0), REFUSE),
        ("prlimit64", (1, 7, 0, 1), REFUSE),
        ("socketpair", (1, 1 | 0o2000000), ALLOW),
        ("socketpair", (1, 2), REFUSE),
        ("socketpair", (2, 1), REFUSE),
        ("sendto", (3, 1, 1, 0, 0), ALLOW),
        ("sendto", (3, 1, 1, 0, 1 << 32), REFUSE),
        ("sendto", (3, 1, 1, 0, 64), REFUSE),
        ("sendto", (3, 1, 1, 0x4040, 0), ALLOW),
        ("sendto", (3, 1, 1, 1, 0), REFUSE),
        ("recvfrom", (3, 1, 1, 1, 0), REFUSE),
        ("recvfrom", (3, 1, 1, 0, 64), REFUSE),
        ("futex", (0, 128), ALLOW),
        ("futex", (0, 9 | 128 | 256), ALLOW),
        ("futex", (0, 6), REFUSE),
        ("futex", (0, 7 | 128), REFUSE),
        ("futex", (0, 12 | 128), REFUSE),
        ("madvise", (0, 1, 4), ALLOW),
        ("madvise", (0, 1, 100), REFUSE),
    ],
)
def test_arguments_decide(machine: str, name: str, arguments: tuple[int, ...], expected: int) -> None:
    assert verdict(machine, number(machine, name), *arguments) == expected


def test_a_program_may_send_signals_to_itself_alone() -> None:
    assert verdict("x86_64", 234, 1234, 5, 6) == ALLOW
    assert verdict("x86_64", 234, 1, 5, 6) == REFUSE
    assert verdict("aarch64", 131, 1, 5, 6) == REFUSE


def test_the_kernel_refuses_the_same_calls(attempt) -> None:
    column = MACHINES[platform.machine()][1]
    calls = {name: numbers[column] for name, numbers in REFUSED.items() if numbers[column] is not None}
    calls["clone"] = number(platform.machine(), "clone")
    program = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for name, number in {calls!r}.items():
    done = libc.syscall(number, 17, 0, 0, 0, 0)
    if done != -1 or ctypes.get_errno() != {errno.EPERM}:
        print(name, done, ctypes.get_errno())
print(libc.syscall(435, 0, 0), ctypes.get_errno())
"""
    assert attempt(program, "").stdout == f"-1 {errno.ENOSYS}\n".encode()


@pytest.mark.skipif(not X86, reason="x86-64's second calling convention")
def test_a_call_by_the_x32_convention_ends_the_program(attempt) -> None:
    ended = attempt("import ctypes; print(1, flush=True); ctypes.CDLL(None).syscall(0x40000000 | 39); print(2)", "")
    assert (ended.status, ended.stdout) == (Status.killed, b"1\n")


INT_80 = """
import ctypes, mmap, sys
sys.path.insert(0, sys.argv[2])  # the module alone: its package imports much more
import seccomp
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
assert call() > 0
if sys.argv[1] == "filtered":
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
    seccomp.install(seccomp.assemble("x86_64", 1))
    call()
"""


@pytest.mark.skipif(not X86, reason="x86's 32-bit system calls")
@pytest.mark.parametrize(("argument", "code"), [("free", 0), ("filtered", -signal.SIGSYS)])
def test_a_32_bit_system_call_ends_the_process(argument: str, code: int) -> None:
    """Machine code that is already in the process, which the sandbox itself never lets in."""
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        pytest.skip("needs a 64-bit Python")
    folder = str(Path(seccomp.__file__).parent)
    assert subprocess.run([sys.executable, "-c", INT_80, argument, folder]).returncode == code
