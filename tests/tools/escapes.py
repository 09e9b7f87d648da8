"""Programs that try to get out of a sandbox, or to eat the machine that it is on."""

from __future__ import annotations

# Each line must fail, or give something false.
ATTEMPTS = r"""
open("/etc/passwd").read()
open("/etc/shadow").read()
open("/etc/hostname").read()
os.listdir("/root")
os.listdir("/home")
os.listdir("/work")
os.listdir("/proc")
os.listdir("/sys")
os.listdir("/var")
open("/proc/self/environ").read()
open("/proc/1/cmdline").read()
open("/tmp/../etc/passwd").read()
open("/usr/lib/x", "w")
open("/usr/bin/x", "w")
open("/x", "w")
open("/dev/x", "w")
open("/dev/shm/x", "w")
open("/dev/mem", "rb")
open("/dev/kmsg", "rb")
open("/dev/tty", "rb")
open("/dev/ptmx", "rb")
os.openpty()
os.mknod("/tmp/disk", 0o60660, os.makedev(8, 0))
os.symlink("/etc/passwd", "/tmp/l") or open("/tmp/l").read()
os.link("/usr/lib/os-release", "/usr/lib/y")
os.chroot("/tmp")
os.setuid(0)
os.setresuid(0, 0, 0)
os.setgroups([0])
os.getuid() == 0 or os.geteuid() == 0
os.nice(-5)
os.fork()
os.forkpty()
os.posix_spawn("/usr/bin/python3", ["python3", "-c", "pass"], {})
subprocess.run(["true"])
os.system("true") == 0
os.popen("id").read()
threading.Thread(target=print).start()
multiprocessing.Process(target=print).start()
socket.socket()
socket.socket(socket.AF_UNIX)
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
socket.create_connection(("127.0.0.1", 22), 1)
socket.create_connection(("1.1.1.1", 53), 1)
socket.getaddrinfo("example.org", 80)
urllib.request.urlopen("http://169.254.169.254/", timeout=1)
os.kill(1, 9) or os.kill(1, 0)
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
resource.setrlimit(resource.RLIMIT_CPU, (-1, -1))
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
os.memfd_create("x")
call(SHMGET, 0, 1 << 20, 0o1600) >= 0
call(PTRACE, 0, 0, 0, 0) >= 0
call(UNSHARE, 0x10000000) >= 0
call(UNSHARE, 0x00020000) >= 0
call(SETNS, 0, 0) >= 0
call(MOUNT, b"none", b"/tmp", b"tmpfs", 0, 0) >= 0
call(BPF, 0, 0, 0) >= 0 or ctypes.get_errno() != 1
call(425, 1, 0) >= 0 or ctypes.get_errno() != 1
call(KEYCTL, 0, -3, 0) >= 0
call(PERF, 0, 0, -1, -1, 0) >= 0 or ctypes.get_errno() != 1
call(USERFAULTFD, 0) >= 0 or ctypes.get_errno() != 1
call(435, 0, 0) >= 0 or ctypes.get_errno() != 1
bytearray(1 << 33)
mmap.mmap(-1, 1 << 33)
open_at_first
set(os.environ) - {"PATH", "HOME", "LANG", "PWD", "LC_CTYPE"}
[name for name in ("ragweave", "pydantic", "httpx") if importlib.util.find_spec(name)]
os.path.exists(CANARY)
socket.gethostname() not in ("sandbox",)
open("/tmp/large", "wb").write(b"x" * (1 << 25))
[open(f"/tmp/{n}", "wb").write(b"x" * (1 << 20)) for n in range(64)]
""".strip().splitlines()

HARNESS = """
import ctypes, importlib.util, json, mmap, multiprocessing, os, platform, resource, socket, subprocess, threading, sys
import urllib.request
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = dict(SHMGET=(29, 194), PTRACE=(101, 117), UNSHARE=(272, 97), SETNS=(308, 268), MOUNT=(165, 40),
               BPF=(321, 280), KEYCTL=(250, 219), PERF=(298, 241), USERFAULTFD=(323, 282))
globals().update({name: both[platform.machine() != "x86_64"] for name, both in NUMBERS.items()})
def call(*args):
    return libc.syscall(*args)
def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
open_at_first = [fd for fd in range(3, 64) if is_open(fd)]
got = []
sys.stderr = open("/tmp/err", "w")
for attempt in attempts:
    try:
        if eval(attempt):
            got.append(attempt)
    except BaseException:
        pass
print(json.dumps(got))
"""

MONTY_ATTEMPTS = [
    "open('/etc/passwd').read()",
    "import os\nos.system('true')",
    "import os\nos.listdir('/')",
    "import os\nos.environ['PATH']",
    "import os\nos.getenv('RAGWEAVE_SECRET') and 1 / 0\nraise ValueError",
    "import pathlib\npathlib.Path('/etc/passwd').read_text()",
    "import pathlib\npathlib.Path('/tmp/escaped').write_text('x')",
    "import socket\nsocket.socket()",
    "import subprocess\nsubprocess.run(['true'])",
    "import ctypes",
    "import importlib\nimportlib.import_module('os').system('true')",
    "__import__('os').system('true')",
    "().__class__.__base__.__subclasses__()",
    "(lambda: 0).__globals__",
    "(lambda: 0).__code__",
    "getattr((), '__cl' + 'ass__').__mro__[1].__subclasses__()",
    "__builtins__['open']('/etc/passwd')",
    "eval(\"open('/etc/passwd')\")",
    "exec('import os; os.fork()')",
    "compile('1', 'x', 'eval')",
    "import sys\nsys.modules['os'].system('true')",
    "import sys\nsys._getframe()",
    "import builtins\nbuiltins.open('/etc/passwd')",
    "import pickle\npickle.loads(b'cos\\nsystem\\n(S\"true\"\\ntR.')",
    "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')",
    "import threading\nthreading.Thread(target=print).start()",
    "import multiprocessing",
    "import signal",
    "import gc\ngc.get_objects()",
    "import inspect\ninspect.currentframe().f_back",
]

BOMBS = {
    "while True: pass": {"timeout"},
    "9 ** 9 ** 9 ** 9": {"timeout", "memory"},
    "import re\nre.match('(a+)+$', 'a' * 40 + 'b')": {"timeout", "done"},
    "x = []\nwhile True: x.append('x' * 10**6)": {"memory", "timeout"},
    "'a' * 10**11": {"memory"},
    "x = [0]\nwhile True: x += x": {"memory", "timeout"},
    "def f(): f()\nf()": {"error"},
    "while True: print('x' * 1000)": {"output"},
    "print('x' * 10**6)": {"output", "memory"},
}
BUBBLEWRAP_BOMBS = {
    "import os\nwhile True: os.fork()": {"error"},
    "import os\nos.close(1)\nos.close(2)\nwhile True: pass": {"timeout"},
    "import time\ntime.sleep(1000)": {"timeout"},
    "import signal\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\n"
    "while True: pass": {"timeout"},
    "import threading\nwhile True: threading.Thread(target=input).start()": {"error"},
    "import sys\nwhile True: sys.stderr.write('x' * 1000)": {"output"},
    "n = 0\nwhile True:\n    open(f'/tmp/{n}', 'wb').write(b'x' * 10**6)\n    n += 1": {"error"},
    "import ctypes\nctypes.string_at(0)": {"killed"},
    "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()": {"killed", "memory", "timeout", "error"},
    "import os\nos.kill(os.getpid(), 9)": {"killed"},
    "import os\nos._exit(0)": {"done"},
}  # fmt: skip
