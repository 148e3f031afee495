"""Numbers of the system calls that a candidate may make, per architecture.

Source: the kernel's asm/unistd_64.h and asm-generic/unistd.h. What a table lacks does not exist there.
"""

# fmt: off
X86_64: dict[str, int] = {
    "read": 0, "pread64": 17, "readv": 19, "preadv": 295, "write": 1, "pwrite64": 18, "writev": 20, "lseek": 8,
    "close": 3, "close_range": 436, "dup": 32, "dup2": 33, "dup3": 292, "fstat": 5, "stat": 4, "lstat": 6,
    "newfstatat": 262, "statx": 332, "statfs": 137, "fstatfs": 138, "access": 21, "faccessat": 269,
    "faccessat2": 439, "readlink": 89, "readlinkat": 267, "getcwd": 79, "getdents64": 217, "getdents": 78,
    "fadvise64": 221, "poll": 7, "ppoll": 271, "select": 23, "pselect6": 270, "mmap": 9, "munmap": 11,
    "mprotect": 10, "mremap": 25, "madvise": 28, "brk": 12, "mincore": 27, "msync": 26, "mlock": 149, "munlock": 150,
    "get_mempolicy": 239, "membarrier": 324, "futex": 202, "futex_waitv": 449, "set_robust_list": 273,
    "get_robust_list": 274, "set_tid_address": 218, "rseq": 334, "arch_prctl": 158, "rt_sigaction": 13,
    "rt_sigprocmask": 14, "rt_sigreturn": 15, "rt_sigpending": 127, "rt_sigsuspend": 130, "rt_sigtimedwait": 128,
    "sigaltstack": 131, "restart_syscall": 219, "pause": 34, "exit": 60, "exit_group": 231, "getpid": 39,
    "gettid": 186, "getppid": 110, "getuid": 102, "geteuid": 107, "getgid": 104, "getegid": 108, "getpgid": 121,
    "getpgrp": 111, "getsid": 124, "getgroups": 115, "getresuid": 118, "getresgid": 120, "getrandom": 318,
    "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "nanosleep": 35, "gettimeofday": 96,
    "time": 201, "times": 100, "getrusage": 98, "getrlimit": 97, "getitimer": 36, "sched_yield": 24,
    "sched_getaffinity": 204, "sched_getscheduler": 145, "sched_getparam": 143, "sched_get_priority_max": 146,
    "sched_get_priority_min": 147, "getpriority": 140, "sysinfo": 99, "uname": 63, "getcpu": 309, "capget": 125,
    "open": 2, "openat": 257, "clone": 56, "fcntl": 72, "ioctl": 16, "prctl": 157, "prlimit64": 302, "tgkill": 234,
}
AARCH64: dict[str, int] = {
    "read": 63, "pread64": 67, "readv": 65, "preadv": 69, "write": 64, "pwrite64": 68, "writev": 66, "lseek": 62,
    "close": 57, "close_range": 436, "dup": 23, "dup3": 24, "fstat": 80, "newfstatat": 79, "statx": 291,
    "statfs": 43, "fstatfs": 44, "faccessat": 48, "faccessat2": 439, "readlinkat": 78, "getcwd": 17,
    "getdents64": 61, "fadvise64": 223, "ppoll": 73, "pselect6": 72, "mmap": 222, "munmap": 215, "mprotect": 226,
    "mremap": 216, "madvise": 233, "brk": 214, "mincore": 232, "msync": 227, "mlock": 228, "munlock": 229,
    "get_mempolicy": 236, "membarrier": 283, "futex": 98, "futex_waitv": 449, "set_robust_list": 99,
    "get_robust_list": 100, "set_tid_address": 96, "rseq": 293, "rt_sigaction": 134, "rt_sigprocmask": 135,
    "rt_sigreturn": 139, "rt_sigpending": 136, "rt_sigsuspend": 133, "rt_sigtimedwait": 137, "sigaltstack": 132,
    "restart_syscall": 128, "exit": 93, "exit_group": 94, "getpid": 172, "gettid": 178, "getppid": 173,
    "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "getpgid": 155, "getsid": 156, "getgroups": 158,
    "getresuid": 148, "getresgid": 150, "getrandom": 278, "clock_gettime": 113, "clock_getres": 114,
    "clock_nanosleep": 115, "nanosleep": 101, "gettimeofday": 169, "times": 153, "getrusage": 165, "getrlimit": 163,
    "getitimer": 102, "sched_yield": 124, "sched_getaffinity": 123, "sched_getscheduler": 120, "sched_getparam": 121,
    "sched_get_priority_max": 125, "sched_get_priority_min": 126, "getpriority": 141, "sysinfo": 179, "uname": 160,
    "getcpu": 168, "capget": 90, "openat": 56, "clone": 220, "fcntl": 25, "ioctl": 29, "prctl": 167,
    "prlimit64": 261, "tgkill": 131,
}
# fmt: on

WITH_DEVICES: dict[str, dict[str, int]] = {
    "x86_64": {"pipe2": 293, "eventfd2": 290, "mbind": 237, "set_mempolicy": 238},
    "aarch64": {"pipe2": 59, "eventfd2": 19, "mbind": 235, "set_mempolicy": 237},
}
"""What an NVIDIA driver asks for beside these: wake-ups between its threads, and where memory lies. None leads out."""
