"""What takes a process's powers away: namespaces, Landlock, a root of its own, no capabilities, resource limits.

Runs inside the sandbox before the program does: standard library only. Every function raises `Refused` where the
kernel does not do it, so that nothing runs half confined.
"""

import ctypes
import os
import resource
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)

NOBODY = 65534
"""the user and group that the program is, inside and (where root started it) outside of its user namespace"""

NAMESPACES = {"user": 0x10000000, "net": 0x40000000, "pid": 0x20000000, "ipc": 0x08000000, "uts": 0x04000000}
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 1, 4, 24, 38, 39
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Landlock's calls have the same numbers on every machine"""
READ_FILE, READ_DIR = 1 << 2, 1 << 3

FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""Landlock's ABI -> how many file-system rights it knows; all are refused but those granted"""
NETWORK_ABI, SCOPE_ABI = 4, 6
"""since when TCP (2 rights), and abstract Unix sockets and signals (2 scopes), can be refused too"""


class Refused(Exception):
    """The kernel, or the container around us, does not give a protection."""

    def __init__(self, protection: str, why: str) -> None:
        super().__init__(f"{protection}: {why}")


def _done(result: int, protection: str, what: str) -> int:
    if result < 0:
        raise Refused(protection, f"{what} failed: {os.strerror(ctypes.get_errno())}")
    return result


def _prctl(option: int, value: int, protection: str) -> int:
    return _done(libc.prctl(option, value, 0, 0, 0), protection, f"prctl({option})")


def enter_namespaces() -> None:
    """Make new namespaces; the next child is the first process of the new pid namespace."""
    before = _namespaces()
    _done(libc.unshare(sum(NAMESPACES.values())), "namespaces", "unshare of user, network, pid, ipc and uts namespaces")
    after = _namespaces()
    shared = [name for name in after if after[name] == before[name]]
    if shared:
        raise Refused("namespaces", f"{', '.join(shared)} are still those of the machine")
    _done(libc.sethostname(b"sandbox", 7), "namespaces", "sethostname")  # only now that it is not the machine's


def _namespaces() -> dict[str, str]:
    """Which they are, but for the pid namespace: its first process sees for itself that it is the first."""
    try:
        return {name: os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES if name != "pid"}
    except OSError as error:
        raise Refused("namespaces", f"/proc cannot be read: {error.strerror}") from error


def standard_library() -> str:
    """The folder of Python's standard library, the only one that the program will see."""
    return os.path.dirname(os.path.realpath(os.__file__))


def landlock_rules() -> int:
    """A Landlock ruleset (its file descriptor) that allows to read the standard library and nothing else.

    Packages installed inside that folder, which may be this repository's code, can be listed but not read.
    """
    abi = _done(libc.syscall(CREATE_RULESET, None, 0, 1), "landlock", "landlock_create_ruleset")
    rights = (1 << FILE_RIGHTS[max(known for known in FILE_RIGHTS if known <= abi)]) - 1
    network, scopes = (3 if abi >= NETWORK_ABI else 0), (3 if abi >= SCOPE_ABI else 0)
    size = 24 if abi >= SCOPE_ABI else 16 if abi >= NETWORK_ABI else 8
    attributes = struct.pack("QQQ", rights, network, scopes)[:size]
    ruleset = _done(libc.syscall(CREATE_RULESET, attributes, size, 0), "landlock", "landlock_create_ruleset")
    library = standard_library()
    _allow(ruleset, library, READ_DIR)
    for entry in os.scandir(library):
        if entry.name not in {"site-packages", "dist-packages"} and not entry.is_symlink():
            _allow(ruleset, entry.path, READ_FILE | READ_DIR if entry.is_dir() else READ_FILE)
    return ruleset


def _allow(ruleset: int, path: str, rights: int) -> None:
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, folder)
        _done(libc.syscall(ADD_RULE, ruleset, 1, rule, 0), "landlock", f"landlock_add_rule for {path}")
    finally:
        os.close(folder)


def lock_files(ruleset: int, forbidden: str) -> None:
    """Apply the Landlock rules and see that `forbidden`, a file that could be read a moment ago, no longer can."""
    with open(forbidden, "rb"):
        pass
    _prctl(PR_SET_NO_NEW_PRIVS, 1, "no_new_privs")
    if _prctl(PR_GET_NO_NEW_PRIVS, 0, "no_new_privs") != 1:
        raise Refused("no_new_privs", "it was set and does not hold")
    _done(libc.syscall(RESTRICT_SELF, ruleset, 0), "landlock", "landlock_restrict_self")
    os.close(ruleset)
    try:
        os.close(os.open(forbidden, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        return
    raise Refused("landlock", "a file outside of the rules can still be read")


def enter_library(library: int) -> None:
    """Make the standard library's folder, opened before, the root: nothing else on the machine has a name then."""
    try:
        os.fchdir(library)
        os.chroot(".")
        os.close(library)
    except OSError as error:
        raise Refused("chroot", f"the standard library cannot be the root: {error.strerror}") from error
    sys.path[:] = ["/", "/lib-dynload"]
    sys.path_importer_cache.clear()
    before = os.path.dirname(os.__file__)
    for module in list(sys.modules.values()):  # packages that are loaded look for their other modules by name
        folders = getattr(module, "__path__", None)
        if isinstance(folders, list):
            folders[:] = [folder.removeprefix(before) for folder in folders]


def become_nobody(as_root: bool) -> None:
    """Give up the user, the groups (only root may) and every capability, and die with the parent process."""
    try:
        if as_root:
            os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        raise Refused("user", f"the user {NOBODY} cannot be taken: {error.strerror}") from error
    capability = 0
    while libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    header, sets = struct.pack("Ii", 0x20080522, 0), bytes(24)  # _LINUX_CAPABILITY_VERSION_3, this process
    _done(libc.capset(header, sets), "capabilities", "capset")
    held = ctypes.create_string_buffer(24)
    _done(libc.capget(header, held), "capabilities", "capget")
    if held.raw != sets:
        raise Refused("capabilities", "some are left")
    _prctl(PR_SET_DUMPABLE, 0, "dumpable")
    _prctl(PR_SET_PDEATHSIG, 9, "pdeathsig")


def limit_resources(memory: int, cpu_seconds: int) -> None:
    """Set the limits of the process that runs the program: `memory` bytes of address space, CPU time, and the rest."""
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_NPROC: 64,  # threads: more than any solution starts, few enough to cost the kernel little
        resource.RLIMIT_NOFILE: 64,  # the library's files while they are imported; bounds what pipes can hold
        resource.RLIMIT_STACK: 64 << 20,  # deep recursion through C; below the 128 MiB gap that every process has
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 64,  # timers and signals of its own
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_RTPRIO: 0,
    }
    for limit, value in limits.items():
        hard = resource.getrlimit(limit)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (most, most))
        if resource.getrlimit(limit) != (most, most):
            raise Refused("rlimits", f"limit {limit} does not hold")


def address_space() -> int:
    """Bytes of address space that the interpreter has before it runs a program."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
