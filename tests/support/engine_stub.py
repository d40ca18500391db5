"""Stand where a process of the engine would: hand its pipes to one that :mod:`kept_engine` forks.

Started by its path, without anything of ours: it is there in hundredths of a second.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

signal.signal(signal.SIGINT, signal.SIG_IGN)  # as the engine's processes do
address, module = sys.argv[1:]
with socket.socket(socket.AF_UNIX) as kept:
    kept.connect(address)
    order = {"module": module, "folder": os.getcwd(), "environment": dict(os.environ)}
    data = json.dumps(order).encode()
    socket.send_fds(kept, [len(data).to_bytes(4, "big")], [0, 1, 2])
    kept.sendall(data)
    os.closerange(0, 3)  # the other end has them; whoever reads them is to see their end
    said = kept.recv(8)
os._exit(int(said or b"1"))
