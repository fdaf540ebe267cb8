"""The stack on which a thread's signal handlers run."""

import ctypes

_SS_DISABLE = 2


class _StackT(ctypes.Structure):
    """stack_t of Linux, see sigaltstack(2)."""

    _fields_ = [("ss_sp", ctypes.c_void_p), ("ss_flags", ctypes.c_int), ("ss_size", ctypes.c_size_t)]


def leave_signal_stack() -> None:
    """Have signal handlers run on the ordinary stack again, after others' code made plugins of OpenVINO.

    Each set of plugins gives the thread a stack for signals. Where two sets live at a time, the last one to go puts the stack of the first
    in place, which is unmapped (2026.4.1): the next signal that Python handles, Ctrl-C among them, ends the process by SIGSEGV.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.sigaltstack(ctypes.byref(_StackT(None, _SS_DISABLE, 0)), None):
        raise OSError(ctypes.get_errno(), "sigaltstack")
