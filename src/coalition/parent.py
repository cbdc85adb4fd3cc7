"""Ending with the process that started this one, even where that one was killed with kill -9.

What a process does to end cleanly is its own: it only gets the signal to do so here.
"""

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.process import BaseProcess

# Long enough to post what is queued; after it nothing of a killed server is left.
END_TIMEOUT_S = 15


def leave_with_parent() -> None:
    """End this process when the one that started it by multiprocessing is gone.

    Does nothing in a process that was started in any other way: that one may outlive its parent.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), name="parent", daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    # Waits on a pipe that the kernel closes with the parent, however that one ends.
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_TIMEOUT_S)
    os._exit(1)
