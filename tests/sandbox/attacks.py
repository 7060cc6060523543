"""Programs that try to pass a test without solving it, or to do harm; for test_sandbox.py."""

from __future__ import annotations

SQUARE = "def square(x):\n    return x * x\n"


def inside(body: str) -> str:
    """A program whose `square` has this body."""
    return "def square(x):\n" + "".join(f"    {line}\n" for line in body.splitlines())


def lying(base: str, value: str) -> str:
    return (
        f"class Liar({base}):\n"
        "    __eq__ = __ge__ = __le__ = __bool__ = lambda *_: True\n"
        "    __ne__ = lambda *_: False\n"
        "    __hash__ = lambda _: 0\n" + inside(f"return Liar({value})")
    )


def raw(data: str) -> str:
    """A program that sends these bytes where the answer should go."""
    return inside(
        "import os, stat\n"
        f"data = {data}\n"
        "fds = []\n"
        "for fd in range(3, 64):\n"
        "    try:\n"
        "        if stat.S_ISSOCK(os.fstat(fd).st_mode): fds.append(fd)\n"
        "    except OSError: pass\n"
        "for fd in fds: os.write(fd, data)"
    )


def framed(text: str) -> str:
    return f"(lambda b: len(b).to_bytes(4, 'big') + b)(({text}).encode())"


def forged(node: str) -> str:
    """A program that answers with this node of the wire format, a Python expression."""
    return raw(framed(f"__import__('json').dumps(['value', {node}, 0.1])"))


DEEP = "__import__('functools').reduce"
COLLIDING = "(['int', hex(i * (2**61 - 1))] for i in range(1, 200_001))"
"""Python's integers are hashed modulo 2^61 - 1."""

# name -> (program, the reason of its verdict as a regular expression)
ATTACKS = {
    "spin": (inside("while True: pass"), "time limit"),
    "spin while loading": ("while True: pass", "time limit"),
    "spin in C": (inside("return 9**9**9"), "time limit"),
    "sleep": (inside("import time; time.sleep(60)"), "time limit"),
    "ignore SIGXCPU": (
        "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        "died: SIGKILL|time limit",
    ),
    "fork bomb": (
        inside("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
        "time limit|died: SIGKILL",
    ),
    "daemon": (
        inside(
            "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
            "    if os.fork() == 0: time.sleep(600)\n    os._exit(0)\n"
            "return -1"
        ),
        "assertion",
    ),
    "allocate at once": (inside("return len(bytes(10 << 30))"), "memory limit"),
    "allocate bit by bit": (
        inside("kept = []\nwhile True: kept.append(bytes(1 << 24))"),
        "memory limit",
    ),
    "allocate for good": (
        "kept = []\n" + inside("while True: kept.append(bytes(1 << 24))"),
        "memory limit",
    ),
    "recurse": (
        "import sys; sys.setrecursionlimit(10**9)\n" + inside("return square(x)"),
        "memory limit|time limit|died: .*",
    ),
    "segfault": (inside("import ctypes; ctypes.string_at(0)"), "died: SIGSEGV"),
    "exit": (inside("import os; os._exit(0)"), "died: exit code 0"),
    "exit while loading": ("import os; os._exit(0)", "died: exit code 0"),
    "sys.exit": (inside("import sys; sys.exit(0)"), "exception: SystemExit: 0"),
    "sys.exit while loading": ("import sys; sys.exit()", "exception: SystemExit:"),
    "KeyboardInterrupt": (inside("raise KeyboardInterrupt"), "exception: KeyboardInterrupt:"),
    "BaseException": (inside("raise BaseException('no')"), "exception: BaseException: no"),
    "exception without text": (
        "class Bad(Exception):\n    def __str__(self): raise SystemExit\n" + inside("raise Bad"),
        "exception: Bad:",
    ),
    "exception with a lying text": (
        "class Text(str):\n    def __getitem__(self, _): return 5\n"
        "class Bad(Exception):\n    def __str__(self): return Text('a')\n" + inside("raise Bad"),
        "garbled answer",
    ),
    "long exception with control characters": (
        inside("raise ValueError('a\\n\\x1b[31m\\u202e\\ud800' * 1000)"),
        "exception: ValueError: a .{150,178}…",
    ),
    "its own AssertionError": (inside("assert False, 'no'"), "exception: AssertionError: no"),
    "UnicodeDecodeError": (inside("b'\\xff'.decode()"), "exception: UnicodeDecodeError: .*"),
    "equal to everything": (lying("object", ""), "assertion"),
    "lying int": (lying("int", "5"), "assertion"),
    "lying float": (lying("float", "5"), "assertion"),
    "lying str": (lying("str", "'4'"), "assertion"),
    "lying list": (lying("list", "[4]"), "assertion"),
    "lying __class__": (
        "class Liar:\n    __class__ = int\n    __eq__ = lambda *_: True\n"
        + inside("return Liar()"),
        "assertion",
    ),
    "equal keys": (inside("return {object(): 1, (lambda: 0): 2}"), "assertion"),
    "nan": (inside("return float('nan')"), "assertion"),
    "nested": (
        inside("a = []\nfor _ in range(10**5): a = [a]\nreturn a"),
        "exception: ValueError: nested more than 100 deep",
    ),
    "contains itself": (
        inside("a = {}\na[0] = a\nreturn a"),
        "exception: ValueError: nested more than 100 deep",
    ),
    "shared without end": (
        inside("a = [0]\nfor _ in range(90): a = [a, a]\nreturn a"),
        "memory limit|time limit",
    ),
    "gigantic text": (inside("return 'x' * (50 << 20)"), "answer too large"),
    "gigantic number": (inside("return 1 << (8 * 50 << 20)"), "answer too large|time limit"),
    "number too long to print": (inside("return 10**5000"), "assertion"),
    "noise on stdout": (
        inside("while True: print('x' * 10000, flush=True)"),
        "time limit",
    ),
    "noise on the connection": (raw("b'\\xff' * 1000"), "answer too large"),
    "noise without end": (
        inside("while True: square2(x)\n")
        + raw("b' ' * 10000").replace("def square", "def square2"),
        "answer too large",
    ),
    "half an answer": (raw("b'\\0\\0\\xff\\0['") + "    import time; time.sleep(60)", "time limit"),
    "an answer in drips": (
        raw("b'\\0\\x10\\0\\0'")
        + "    import time\n    while True: time.sleep(5e-4); os.write(fds[0], b' ')",
        "time limit",
    ),
    "no JSON": (raw(framed("'[1, 2'")), "garbled answer"),
    "no UTF-8": (raw("b'\\0\\0\\0\\1\\xff'"), "garbled answer"),
    "nested JSON": (raw(framed("'[' * 100000")), "garbled answer"),
    "JSON nested more than data": (
        raw(framed("'[\"value\", ' + '[\"list\", ' * 900 + ']' * 901")),
        "garbled answer|assertion",
    ),
    "forged, deeper than can be sent again": (
        forged(f"{DEEP}(lambda node, _: ['list', node], range(150), 1)"),
        "garbled answer",
    ),
    "forged, dicts deeper than can be sent again": (
        forged(f"{DEEP}(lambda node, _: ['dict', [1, node]], range(150), 1)"),
        "garbled answer",
    ),
    "forged, a set of integers with one hash": (
        forged(f"['set', *{COLLIDING}]"),
        "garbled answer",
    ),
    "forged, a frozen set of them in a list": (
        forged(f"['list', ['frozenset', *{COLLIDING}]]"),
        "garbled answer",
    ),
    "forged, keys with one hash": (
        forged(f"['dict', *([key, 1] for key in {COLLIDING})]"),
        "garbled answer",
    ),
    "forged, a number of millions of digits": (
        forged("['int', '0x' + 'f' * 15_000_000]"),
        "assertion",
    ),
    "forged, a million empty lists": (
        forged("['list', *([['list']] * 1_000_000)]"),
        "assertion|memory limit|answer too large|garbled answer|time limit.*",
    ),
    "forged, half a character": (forged("['str', 'eda080']"), "assertion"),
    "forged, too many parts of a number": (forged("['complex', 1, 2, 3]"), "garbled answer"),
    "long number in JSON": (raw(framed("'1' * 5000")), "garbled answer"),
    "unknown message": (raw(framed("'[\"passed\"]'")), "garbled answer"),
    "another message": (raw(framed("'[\"loaded\"]'")), "garbled answer"),
    "unknown tag": (raw(framed('\'["value", ["object"]]\'')), "garbled answer"),
    "tag of the wrong type": (raw(framed("'[\"value\", [[]]]'")), "garbled answer"),
    "bad hexadecimal": (raw(framed('\'["value", ["int", "zz"]]\'')), "garbled answer"),
    "unhashable": (raw(framed('\'["value", ["set", ["list"]]]\'')), "garbled answer"),
    "JSON object": (raw(framed("'[\"value\", {}]'")), "garbled answer"),
    "exception of a strange name": (
        raw(framed('\'["raised", "__import__", "os"]\'')),
        "exception: __import__: os",
    ),
    "hang up": (
        inside("import os, time; os.closerange(0, 64); time.sleep(60)"),
        "time limit",
    ),
    "patched JSON": (
        "import sys\nsys.modules['__main__'].as_json = lambda _: '[\"value\", true]'\n"
        + inside("return 0"),
        "garbled answer",
    ),
    "patched builtins": (
        "import builtins\nbuiltins.type = builtins.len = lambda *_: 4\n" + inside("return 0"),
        "assertion|exception: .*|died: .*|garbled answer",
    ),
    "kill everybody": (
        inside(
            "import os, signal\n"
            "for pid in (os.getppid(), 1, -1, *range(2, 300)):\n"
            "    try:\n"
            "        if pid != os.getpid(): os.kill(pid, signal.SIGKILL)\n"
            "    except OSError: pass\n"
            "return -1"
        ),
        "assertion",
    ),
    "exec of a shell": (
        inside("import os; os.execv('/bin/sh', ['sh', '-c', 'true'])"),
        "exception: FileNotFoundError: .*",
    ),
    "exec of Python": (
        inside("import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'pass'])"),
        "died: exit code 0",
    ),
    "many calls": (inside("import time; time.sleep(0.2); return x * x"), "time limit"),
    "look for the expected result": (
        inside(
            "import gc, sys\n"
            "frame = sys._getframe()\n"
            "seen = [*gc.get_objects()]\n"
            "while frame: seen += [frame.f_locals, frame.f_globals]; frame = frame.f_back\n"
            "return 4 if x == 2 else 123454320 + any(str(x * x) in repr(o) for o in seen)"
        ),
        "assertion",
    ),
    "syntax error": ("def square(x) return x", "does not compile: SyntaxError: .*"),
    "null byte": (SQUARE + "\0", "does not compile: .*"),
    "lone surrogate": (SQUARE + "# \ud800", "does not compile: .*"),
    "nested source": (SQUARE + "(" * 10000, "does not compile: .*"),
    "empty": ("", "exception: NameError: name 'square' is not defined"),
    "no function": ("square = 4", "exception: TypeError: 'int' object is not callable"),
}

# --- For test_limits.py --------------------------------------------------------------------------

CALLS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)

def done(result):
    return 0 if result >= 0 else ctypes.get_errno()

def call(number, *args):
    return done(libc.syscall(*map(ctypes.c_long, (number, *args, 0, 0, 0, 0))))

def socket_number(name):
    return {"x86_64": {"socket": 41, "pair": 53, "clone": 56}}.get(
        os.uname().machine, {"socket": 198, "pair": 199, "clone": 220}
    )[name]

def family(number):
    for kind in (1, 2, 3, 5):  # a family may know one kind only
        error = call(socket_number("socket"), number, kind)
        if not error:
            return 0
    return error

def pair(number):
    ends = (ctypes.c_int * 2)()
    return call(socket_number("pair"), number, 1, 0, ctypes.addressof(ends))

def clone(flags):
    result = libc.syscall(*map(ctypes.c_long, (socket_number("clone"), flags | 17, 0, 0, 0, 0)))
    if result == 0:
        os._exit(0)
    if result > 0:
        os.waitpid(result, 0)
    return done(result)

def thread():
    import threading
    found = []
    one = threading.Thread(target=found.append, args=(1,))
    one.start()
    one.join()
    return len(found)

def spawned():
    import sys
    pid = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", "pass"], {})
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def kernel_memory(how):
    try:
        if how == "memfd":
            os.close(os.memfd_create("x"))
            return 0
        if how == "xattr":
            with open("file", "w"):
                os.setxattr("file", "user.x", bytes(60000))
            return 0
    except OSError as error:
        return error.errno
    private, create = 0, 0o1600
    if how == "shared memory":
        made = libc.shmget(private, ctypes.c_size_t(1 << 20), create)
        libc.shmctl(made, 0, None)
    elif how == "semaphores":
        made = libc.semget(private, 100, create)
        libc.semctl(made, 0, 0)
    else:
        made = libc.msgget(private, create)
        error = ctypes.get_errno()
        libc.msgctl(made, 0, None)
        return 0 if made >= 0 else error
    return done(made)
"""
"""Functions that make system calls, and return the number of the error or 0."""

BUFFERS = """
import array, socket

def in_flight():
    total, kept = 0, [*socket.socketpair()]
    carrier, _ = kept
    carrier.setblocking(False)
    while True:
        try:
            a, b = socket.socketpair()
            a.setblocking(False)
            try:
                while True:
                    total += a.send(bytes(4096))
            except BlockingIOError:
                pass
            fds = array.array("i", [a.fileno(), b.fileno()])
            carrier.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            a.close()
            b.close()
        except OSError:
            return total
"""

FOREIGN = {
    "x32": inside(
        "import ctypes\nctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 + 39))\nreturn x * x"
    ),
    "32 bits": inside(
        "import ctypes, mmap\n"
        "code = b'\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3'  # getpid by int 0x80\n"
        "page = mmap.mmap(-1, 4096, prot=7)\n"
        "page.write(code)\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\n"
        "return x * x"
    ),
}

GREEDY = {
    "many processes": inside(
        "import os, signal\n"
        "for _ in range(6):\n"
        "    if os.fork() == 0:\n"
        "        kept = bytearray(b'x') * (120 << 20)\n"
        "        signal.pause()\n"
        "signal.pause()"
    ),
    "shared by many processes": inside(
        "import mmap, os, signal\n"
        "for _ in range(6):\n"
        "    if os.fork() == 0:\n"
        "        kept = mmap.mmap(-1, 120 << 20)\n"
        "        for place in range(0, 120 << 20, 4096): kept[place] = 1\n"
        "        signal.pause()\n"
        "signal.pause()"
    ),
    "empty files": inside(
        "import os\n"
        "for n in range(10**9):\n"
        "    os.mknod('%x' % n)"
    ),
}  # fmt: skip
"""Programs that need more than 260 MiB, no process of them more than 200 MiB."""

_SPIN = "\nwhile True: pass"
EVASIONS = {
    name: "import signal, threading, os\nALL = {s for s in signal.Signals if s not in (9, 19)}\n"
    + inside(body + _SPIN)
    for name, body in {
        "ignored": "for s in ALL: signal.signal(s, signal.SIG_IGN)",
        "handled": "for s in ALL: signal.signal(s, lambda *_: None)",
        "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, ALL)",
        "timer stopped": "signal.setitimer(signal.ITIMER_PROF, 0)",
        "timer set anew": "signal.setitimer(signal.ITIMER_PROF, 1000)\n"
        "signal.signal(signal.SIGXCPU, signal.SIG_IGN)",
        "exceptions swallowed": "def no(*_): raise KeyboardInterrupt\n"
        "for s in ALL: signal.signal(s, no)\n"
        "while True:\n    try:\n        while ALL: len(ALL)\n    except BaseException: pass",
    }.items()
}
"""Programs that spin, whatever signal says that their time is over."""

THREADS = "import hashlib, signal, threading\n" + inside(
    "for s in (signal.SIGPROF, signal.SIGXCPU): signal.signal(s, signal.SIG_IGN)\n"
    "def work():\n    while True: hashlib.sha256(bytes(1 << 20))\n"
    "for _ in range(4): threading.Thread(target=work).start()\n"
    "threading.Event().wait()"
)
