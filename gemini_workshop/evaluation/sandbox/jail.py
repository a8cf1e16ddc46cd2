"""The jail: a process gives up everything that a program does not need.

With ``isolate`` (Linux), in this order:

    namespaces      no network, no other processes, file systems and semaphores of its own, no shared memory
    a new root      Python's and the system's libraries to read, without installed packages; one folder in memory to
                    write, small, gone afterwards
    a user          for root: one that owns nothing, so that limits bind; else oneself; no capabilities; no keys
    a filter        of system calls, where the caller could compile one
    limits          processor time, memory, file size, open files, processes, no core dumps
    two processes   one that only waits, and the program: when either ends, the kernel ends the others of the namespace

Without it there are only the limits, an empty folder to begin in, and for root another user. The program can reach the
network and whatever the user may read, change or stop.
"""

import contextlib
import ctypes
import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any

# From linux/sched.h, mount.h, prctl.h and capability.h; the same on every kind of processor but Alpha.
NEW_MOUNTS, NEW_HOSTNAME, NEW_IPC, NEW_USERS, NEW_PIDS, NEW_NETWORK = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
READ_ONLY, NO_SETUID, NO_DEVICES, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
DETACH = 2
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000
DIE_WITH_PARENT, ADOPT_ORPHANS, NO_NEW_PRIVILEGES = 1, 36, 38
SECCOMP, BY_FILTER, INSTRUCTION_BYTES = 22, 2, 8
KEYCTL = {"x86_64": 250, "ppc64le": 271, "s390x": 280, "i686": 288, "armv7l": 311}  # 219 on newer kinds
JOIN_SESSION_KEYRING = 1
CAPABILITY_VERSION_3 = 0x20080522
STAGE = "/proc"  # every Linux has it, and whatever lies below it is not needed any more
VISIBLE = (
    *("/usr/bin", "/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/share/zoneinfo", "/lib", "/lib64", "/lib32", "/bin"),
    *("/nix/store", "/gnu/store", "/etc/ld.so.cache"),
)
HIDDEN = ("python*/site-packages", "python*/dist-packages")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
BOX = "/box"


def enter(limits: dict[str, Any]) -> None:
    """Return inside. The process that calls this may have become another one, which the old one waits for.

    Raises:
        OSError: some part of the jail could not be built.
    """
    if limits["isolate"]:
        set_limits(limits, isolate(limits))
        if program := os.fork():
            _wait_and_end(program)
        os.setsid()  # signals to its own group then reach nobody outside, who may be of the same user
    else:
        os.chdir(limits["folder"])
        os.mkdir(str(os.getpid()))
        os.chdir(str(os.getpid()))
        num_others = limits["processes_now"]
        if os.getuid() == 0 and sys.platform == "linux" and _is_open_to_all(Path(sys.base_prefix)):
            user, num_others = _user_who_owns_nothing(), 0
            os.chown(".", user, user)
            _become(user)
        set_limits(limits, num_others)
    os.environ["HOME"] = os.environ["TMPDIR"] = os.getcwd()


def isolate(limits: dict[str, Any]) -> int:
    """Return in the first process of new namespaces, with a new root; the process before waits for it and ends.

    Returns:
        How many processes of this user are the jail's own: in a namespace of users, the one that waits outside counts.
    """
    die_with_parent()
    user, group = os.getuid(), os.getgid()
    is_root = user == 0
    namespaces = NEW_MOUNTS | NEW_HOSTNAME | NEW_IPC | NEW_PIDS | NEW_NETWORK
    if is_root:
        user = group = _user_who_owns_nothing()
    _call("unshare", namespaces | (0 if is_root else NEW_USERS))
    if not is_root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, this goes first
    if first := os.fork():
        _wait_and_end(first)
    _share_no_memory()
    _build_root(user, group, limits)
    if is_root:
        _become(user)
    die_with_parent()  # after the change of user, which forgets it
    _call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call("capset", (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)())
    _leave_keys()
    _filter_calls(bytes.fromhex(limits["filter"]))
    return 1 if is_root else 2


def die_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends."""
    _call("prctl", DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, in place of the system's first process."""
    _call("prctl", ADOPT_ORPHANS, 1, 0, 0, 0)


def set_limits(limits: dict[str, Any], num_others: int) -> None:
    """Limit this process and its descendants.

    Args:
        num_others: processes that count for this user and are not the program's.
    """
    import resource

    most = {
        "RLIMIT_CPU": limits["cpu_seconds"],
        "RLIMIT_AS": limits["memory_bytes"],
        "RLIMIT_FSIZE": limits["file_bytes"],
        "RLIMIT_NOFILE": limits["open_files"],
        "RLIMIT_NPROC": limits["processes"] + num_others,
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    for name, value in most.items():
        if hasattr(resource, name):
            _, allowed = resource.getrlimit(getattr(resource, name))
            value = value if allowed == resource.RLIM_INFINITY else min(value, allowed)
            resource.setrlimit(getattr(resource, name), (value, value))


def _share_no_memory() -> None:
    """Allow no segment of shared memory in this namespace: what no process maps would escape the limits."""
    for name in ("shmall", "shmmni"):
        with contextlib.suppress(OSError):  # not for every user, on older kernels
            Path("/proc/sys/kernel", name).write_text("0")


def _leave_keys() -> None:
    """Join a new session keyring: the caller's holds the caller's secrets."""
    try:
        _call("syscall", KEYCTL.get(os.uname().machine, 219), JOIN_SESSION_KEYRING, None)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):  # no keyrings here, or none that a program may touch
            raise


def _filter_calls(program: bytes) -> None:
    """Load a filter of system calls, for good."""
    if program:

        class Program(ctypes.Structure):
            _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

        _call("prctl", SECCOMP, BY_FILTER, ctypes.byref(Program(len(program) // INSTRUCTION_BYTES, program)))


def limit_memory(most: int) -> None:
    """Limit the address space of this process, where the system can."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _build_root(user: int, group: int, limits: dict[str, Any]) -> None:
    """A root that shows Python, the system's libraries and an empty folder; no package that somebody installed.

    Beyond that it shows the folders in ``limits["visible"]``, and empties those in ``limits["hidden"]``.

    It lies one level below the top of its file system, as with chroot: the kernel then refuses user namespaces, which
    would give a program capabilities.
    """
    os.umask(0o022)
    _call("mount", None, b"/", None, RECURSIVE | PRIVATE, None)
    _mount_memory(STAGE, "size=1m,mode=755")
    root = Path(STAGE, "root")
    root.mkdir()
    pythons = [str(Path(sys.base_prefix, name)) for name in ("bin", "lib", "lib64")]
    for name in (*VISIBLE, *pythons, *DEVICES, *limits["visible"]):
        _show(Path(name), root)
    found = [each for name in (*VISIBLE, *pythons) for kind in HIDDEN for each in _below(root, name, kind)]
    found = [each for each in found if f"/{each.relative_to(root)}" not in limits["visible"]]
    for folder in (*found, *_below_root(root, limits["hidden"])):
        _mount_memory(str(folder), "size=4k,mode=555")
    box = root / BOX.lstrip("/")
    box.mkdir()
    attributes = (ctypes.c_uint64 * 4)(READ_ONLY | NO_SETUID, 0, 0, 0)
    _call("syscall", MOUNT_SETATTR, AT_FDCWD, STAGE.encode(), AT_RECURSIVE, attributes, 32)
    size = f"size={limits['folder_bytes']},nr_inodes={limits['folder_files']}"
    _mount_memory(str(box), f"{size},mode=700,uid={user},gid={group}")
    os.chdir(STAGE)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", DETACH)
    os.chroot("/root")
    os.chdir(BOX)


def _show(path: Path, root: Path) -> None:
    """Make a file or folder visible below the root, at its own place."""
    place = root / str(path).lstrip("/")
    if place.exists() or place.is_symlink() or not path.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        place.symlink_to(path.readlink())
        return
    if path.is_dir():
        place.mkdir()
    else:
        place.touch()
    _call("mount", str(path).encode(), str(place).encode(), None, BIND | RECURSIVE, None)


def _below(root: Path, folder: str, pattern: str) -> list[Path]:
    return [found for found in Path(root, folder.lstrip("/")).glob(pattern) if not found.is_symlink()]


def _below_root(root: Path, folders: list[str]) -> list[Path]:
    places = [root / folder.lstrip("/") for folder in folders]
    return [place for place in places if place.is_dir()]


def _mount_memory(place: str, options: str) -> None:
    _call("mount", b"jail", place.encode(), b"tmpfs", NO_SETUID | NO_DEVICES, options.encode())


def _user_who_owns_nothing() -> int:
    """A user id near the end of this machine's (or container's) range; different for each process."""
    start, _, length = map(int, Path("/proc/self/uid_map").read_text().splitlines()[-1].split())
    if length < 3:
        raise OSError("there is no other user in this container to become")
    return start + length - 3 - os.getpid() % min(length - 2, 100_000)


def _become(user: int) -> None:
    """Change user and group for good."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _is_open_to_all(folder: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def _call(name: str, *arguments: Any) -> None:
    """Call a function of the C library; it returns -1 for an error."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _wait_and_end(process: int) -> None:
    """Reap children until the given process ends; exit with its code."""
    for stream in (0, 1, 2):
        os.close(stream)
    ended = 0
    while ended != process:
        ended, status = os.wait()
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)
