"""A process that gives up what reading a file does not need: the network, writing, other programs, endless resources.

As far as the system offers it, without privileges: resource limits everywhere, Landlock (Linux 5.13; TCP from 6.7,
sockets and signals from 6.12), a network namespace of its own where that may be made.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys

SECONDS = 600  # of processor time
MEMORY = 16 * 2**30  # bytes that it allocates
FILE = 2**16  # bytes of a file: torch 2.9 writes one of its own when it is imported

_NO_NEW_PRIVILEGES = 38
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_BENEATH = 1
_EXECUTE = 0x1
# Rights that Landlock handles by the version it came with, as bits. What is handled is denied where it is not
# granted; reading a file and listing a folder, bits 2 and 3, are not handled.
_FILE_RIGHTS = {1: 0x1FF3, 2: 0x3FF3, 3: 0x7FF3, 5: 0xFFF3}
_NETWORK_RIGHTS = {4: 0x3}  # to bind and to connect TCP
_SCOPES = {6: 0x3}  # abstract sockets and signals of other processes


def confine(scratch: str) -> list[str]:
    """Give it up, before threads are started; a folder stays in which small files may be written. Says what holds."""
    limits = [
        ("cores", resource.RLIMIT_CORE, 0),
        ("files", resource.RLIMIT_FSIZE, FILE),
        ("processor", resource.RLIMIT_CPU, SECONDS),
        ("memory", resource.RLIMIT_DATA, MEMORY),
    ]
    held = [name for name, kind, most in limits if _limited(kind, most)]
    if sys.platform != "linux":
        return held
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) == 0 or libc.unshare(_NEW_USER | _NEW_NETWORK) == 0:
        held.append("network namespace")
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0 and (version := _landlocked(libc, scratch)):
        held.append(f"Landlock {version}")
    return held


def _limited(kind: int, most: int) -> bool:
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(kind, (most, most))
    except (ValueError, OSError):
        return False
    return True


def _landlocked(libc: ctypes.CDLL, scratch: str) -> int:
    """The version of Landlock that holds; 0 where there is none."""
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return 0
    handled = [_newest(rights, version) for rights in (_FILE_RIGHTS, _NETWORK_RIGHTS, _SCOPES)]
    attributes = struct.pack("QQQ", *handled)[: 8 * (1 + (version >= 4) + (version >= 6))]
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return 0
    folder = os.open(scratch, os.O_PATH)
    try:
        libc.syscall(_ADD_RULE, ruleset, _BENEATH, struct.pack("=Qi", handled[0] & ~_EXECUTE, folder), 0)
        return version if libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0 else 0
    finally:
        os.close(folder)
        os.close(ruleset)


def _newest(rights: dict[int, int], version: int) -> int:
    return max((bits for since, bits in rights.items() if since <= version), default=0)
