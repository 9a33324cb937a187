"""A seccomp filter in hand-assembled BPF: an allow-list of system calls, everything else is refused with EPERM.

Runs inside the sandbox before the program does: standard library only.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Sequence

Instruction = tuple[int, int, int, int]
"""`struct sock_filter`: code, jump if true, jump if false, constant"""
Check = Callable[[int], list[Instruction]]
"""makes the instructions that jump to "refused", `n` instructions after their own end, or fall through"""

# linux/bpf_common.h, linux/seccomp.h
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, JUMP, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x05, 0x06
ALLOW, ERRNO, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
REFUSE = ERRNO | errno.EPERM
MISSING = ERRNO | errno.ENOSYS
"""the C library then takes an older call, which has its own rule"""

SYSCALL, ARCH, ARGUMENTS = 0, 4, 16
"""offsets in `struct seccomp_data`; an argument has 8 bytes, the low half first on both machines"""

PTHREAD = 0x3D0F00
"""CLONE_ VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|SETTLS|PARENT_SETTID|CHILD_CLEARTID: a thread by glibc or musl"""
DETACHED = 0x400000
"""CLONE_DETACHED, which musl adds and the kernel ignores"""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (os.O_TMPFILE & ~os.O_DIRECTORY)
ODD_FLAGS = 0xFFFFFFFF & ~(0x40 | 0x4000)
"""all flags of a send or receive but MSG_DONTWAIT and MSG_NOSIGNAL: out-of-band data has been a way into the kernel"""
PROT_WRITE, PROT_EXEC, MAP_ANONYMOUS = 2, 4, 0x20
NEWEST = 462
"""mseal, the newest call when this list was made: what comes later is MISSING, as it is on an older kernel"""


def _low(argument: int) -> Instruction:
    return (LOAD, 0, 0, ARGUMENTS + 8 * argument)


def _one_of(argument: int, *values: int) -> Check:
    """The argument, an `int` to the kernel, is one of these."""

    def make(refused: int) -> list[Instruction]:
        last = len(values) - 1
        jumps = [(EQUAL, last - i, refused if i == last else 0, value) for i, value in enumerate(values)]
        return [_low(argument), *jumps]

    return make


def _no_bits(argument: int, mask: int) -> Check:
    return lambda refused: [_low(argument), (ANY_BIT, refused, 0, mask)]


def _null(argument: int) -> Check:
    """The argument, a pointer or a long, is 0."""
    high = (LOAD, 0, 0, ARGUMENTS + 8 * argument + 4)
    return lambda refused: [_low(argument), (EQUAL, 0, refused + 2, 0), high, (EQUAL, 0, refused, 0)]


def _thread_flags(refused: int) -> list[Instruction]:
    return [_low(0), (AND, 0, 0, 0xFFFFFFFF & ~DETACHED), (EQUAL, 0, refused, PTHREAD)]


def _futex_operations(refused: int) -> list[Instruction]:
    """Wait, wake and requeue; not those that lend a priority, which Python does not use and exploits have."""
    checks = _one_of(1, 0, 1, 3, 4, 5, 9, 10)(refused)
    return [checks[0], (AND, 0, 0, 0x7F), *checks[1:]]  # without the flags "private" and "real-time clock"


def _only_files_are_executable(refused: int) -> list[Instruction]:
    """`mmap`: executable memory is a library's, never writable and never anonymous, so no machine code is made."""
    return [
        _low(2),
        (ANY_BIT, 0, 3, PROT_EXEC),
        (ANY_BIT, refused + 2, 0, PROT_WRITE),
        _low(3),
        (ANY_BIT, refused, 0, MAP_ANONYMOUS),
    ]


# name: (x86_64, aarch64), from asm/unistd_64.h and asm-generic/unistd.h; None where the machine has no such call
PLAIN: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "brk": (12, 214), "munmap": (11, 215), "mremap": (25, 216),
    "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62), "newfstatat": (262, 79), "clock_gettime": (228, 113),
    "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "preadv": (295, 69), "close_range": (436, 436),
    "stat": (4, None), "lstat": (6, None), "statx": (332, 291), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "getdents64": (217, 61), "getcwd": (79, 17), "readlink": (89, None),
    "readlinkat": (267, 78), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132), "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133),
    "pause": (34, None), "restart_syscall": (219, 128), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
    "pipe": (22, None), "pipe2": (293, 59), "select": (23, None), "pselect6": (270, 72), "poll": (7, None),
    "ppoll": (271, 73), "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None),
    "epoll_pwait": (281, 22), "eventfd2": (290, 19), "nanosleep": (35, 101), "clock_nanosleep": (230, 115),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153),
    "getitimer": (36, 102), "setitimer": (38, 103), "alarm": (37, None), "getpid": (39, 172), "gettid": (186, 178),
    "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "getresuid": (118, 148), "getresgid": (120, 150), "getgroups": (115, 158), "getpgrp": (111, None),
    "getpgid": (121, 155), "getsid": (124, 156), "uname": (63, 160), "sysinfo": (99, 179), "getrusage": (98, 165),
    "getrlimit": (97, 163), "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getcpu": (309, 168),
    "set_robust_list": (273, 99), "get_robust_list": (274, 100), "rseq": (334, 293), "set_tid_address": (218, 96),
    "membarrier": (324, 283), "getrandom": (318, 278), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
CHECKED: dict[str, tuple[int | None, int | None, Sequence[Check]]] = {
    "futex": (202, 98, [_futex_operations]),
    "mmap": (9, 222, [_only_files_are_executable]),
    "mprotect": (10, 226, [_no_bits(2, PROT_EXEC)]),
    # DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE and the plain hints: what an allocator asks for
    "madvise": (28, 233, [_one_of(2, 0, 1, 2, 3, 4, 8, 14, 15)]),
    "open": (2, None, [_no_bits(1, WRITING)]),
    "openat": (257, 56, [_no_bits(2, WRITING)]),
    # isatty, window size, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
    "ioctl": (16, 29, [_one_of(1, 0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)]),
    # duplicate, descriptor flags, status flags, duplicate with close-on-exec
    "fcntl": (72, 25, [_one_of(1, 0, 1, 2, 3, 4, 1030)]),
    "clone": (56, 220, [_thread_flags]),
    "prctl": (157, 167, [_one_of(0, 15, 16)]),  # a thread's name
    "prlimit64": (302, 261, [_null(0), _null(2)]),  # reads its own
    # asyncio wakes itself through a pair of stream sockets; a datagram could be sent to a path
    "socketpair": (53, 199, [_one_of(0, 1), _one_of(1, 1, 1 | 0o4000, 1 | 0o2000000, 1 | 0o2004000)]),
    "sendto": (44, 206, [_null(4), _no_bits(3, ODD_FLAGS)]),
    "recvfrom": (45, 207, [_null(4), _no_bits(3, ODD_FLAGS)]),
}

MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""name -> AUDIT_ARCH_, column of the tables above"""
CLONE3 = 435  # its flags are in memory, where a filter cannot look
X32 = 0x40000000
"""the bit of a system call by x86-64's second, 32-bit, calling convention"""


def assemble(machine: str, pid: int) -> list[Instruction]:
    """The filter for a machine; process `pid` may send signals to itself alone.

    Raises:
        KeyError: for a machine that there is no table of system calls for.
    """
    arch, column = MACHINES[machine]
    filter_: list[Instruction] = [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 1, 0, arch),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, SYSCALL),
    ]
    if machine == "x86_64":
        filter_ += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL_PROCESS)]
    filter_ += [(AT_LEAST, 0, 1, NEWEST + 1), (RETURN, 0, 0, MISSING)]
    filter_ += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, MISSING)]
    for numbers in PLAIN.values():
        number = numbers[column]
        if number is not None:
            filter_ += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    tgkill = {"tgkill": (234, 131, [_one_of(0, pid)])}
    for *checked, checks in (CHECKED | tgkill).values():
        number = checked[column]
        if number is not None:
            filter_ += _rule(number, checks)
    return [*filter_, (RETURN, 0, 0, REFUSE)]


def _rule(number: int, checks: Sequence[Check]) -> list[Instruction]:
    """Where the call is `number`: allow it if every check holds, else refuse it."""
    body: list[Instruction] = [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    for check in reversed(checks):
        body = check(len(body) - 1) + body
    return [(EQUAL, 0, len(body), number), *body]


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Filter)))


def install(instructions: Sequence[Instruction]) -> None:
    """Filter the system calls of this process from now on; it must have `no_new_privs`.

    Raises:
        OSError: where the kernel refuses the filter.
    """
    array = (_Filter * len(instructions))(*(_Filter(*instruction) for instruction in instructions))
    program = _Program(len(instructions), array)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")
