"""Is killed, as the kernel kills what needs too much memory."""

import os
import signal

os.kill(os.getpid(), signal.SIGKILL)
