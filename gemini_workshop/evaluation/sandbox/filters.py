"""A filter of system calls (seccomp): what no program for a judge needs is refused before the kernel looks at it.

The filter is compiled here, by libseccomp through its Python binding (``seccomp``, which comes with some systems, or
``pyseccomp``, which pip installs), and loaded in the jail by the bare Python, which has neither. It is one wall more:
without the library, what the namespaces and limits hold back stays held back.
"""

import errno
import importlib
import tempfile
from types import ModuleType

SOCKETS = ("socket", "io_uring_setup", "io_uring_enter", "io_uring_register")
SHARED_MEMORY = ("shmget", "shmat", "memfd_create", "memfd_secret")
MESSAGES = ("msgget", "semget", "mq_open")
KEYS = ("keyctl", "add_key", "request_key")
OTHER_PROCESSES = ("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "perf_event_open", "bpf")
NEW_WORLDS = (
    *("unshare", "setns", "chroot", "pivot_root", "mount", "umount2", "mount_setattr", "move_mount", "open_tree"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "fanotify_init", "open_by_handle_at", "name_to_handle_at"),
)
MACHINE = (
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff"),
    *("syslog", "acct", "quotactl", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "userfaultfd"),
)
NEW_USERS, UNIX = 0x10000000, 1


def compiled_filter() -> bytes:
    """The filter as the kernel takes it; empty where there is no library that compiles it."""
    seccomp = _library()
    if seccomp is None:
        return b""
    filter_ = seccomp.SyscallFilter(seccomp.ALLOW)
    for name in (*SHARED_MEMORY, *MESSAGES, *KEYS, *OTHER_PROCESSES, *NEW_WORLDS, *MACHINE):
        _refuse(filter_, seccomp.ERRNO(errno.EPERM), name)
    for name in SOCKETS:
        _refuse(filter_, seccomp.ERRNO(errno.EAFNOSUPPORT), name)
    # asyncio talks to itself through a pair; clone3 hides its flags, and libraries then use clone
    _refuse(filter_, seccomp.ERRNO(errno.EAFNOSUPPORT), "socketpair", seccomp.Arg(0, seccomp.NE, UNIX))
    _refuse(filter_, seccomp.ERRNO(errno.EPERM), "clone", seccomp.Arg(0, seccomp.MASKED_EQ, NEW_USERS, NEW_USERS))
    _refuse(filter_, seccomp.ERRNO(errno.ENOSYS), "clone3")
    with tempfile.TemporaryFile() as file:
        filter_.export_bpf(file)
        file.seek(0)
        return file.read()


def _library() -> ModuleType | None:
    """The binding; importing it fails without it, or without the library itself."""
    for name in ("seccomp", "pyseccomp"):
        try:
            return importlib.import_module(name)
        except (ImportError, RuntimeError):
            continue
    return None


def _refuse(filter_: object, action: int, call: str, *arguments: object) -> None:
    """Add a rule, unless the library is older than the system call or the processor has it not."""
    try:
        filter_.add_rule(action, call, *arguments)  # type: ignore[attr-defined]
    except (OSError, RuntimeError, ValueError):
        return
