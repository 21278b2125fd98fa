"""What goes over a node's network in clear, seen from beside it."""

import contextlib
import os
import socket
import threading

ALL_PROTOCOLS = 0x0003
SET_NETWORK = 0x40000000  # CLONE_NEWNET


class Sniffer:
    """Keeps the packets that hold one of these words."""

    def __init__(self, namespace, words):
        self._namespace, self._words = namespace, [word.lower() for word in words]
        self._ended = threading.Event()
        self._open = threading.Event()
        self.packets = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def _listen(self):
        import ctypes

        with open(self._namespace, "rb") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), SET_NETWORK) != 0:  # of this thread only
                raise OSError(ctypes.get_errno(), f"setns {os.fspath(self._namespace)}")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
            wire.settimeout(0.1)
            self._open.set()
            while not self._ended.is_set():
                with contextlib.suppress(TimeoutError):
                    packet = wire.recv(262144)
                    if any(word in packet.lower() for word in self._words):
                        self.packets.append(packet)

    def __enter__(self):
        self._thread.start()
        if not self._open.wait(5):
            raise OSError("the node's network could not be listened to")
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
