"""A network between a store and its server that tests can spoil: it cuts, goes silent, and cuts at a certain byte."""

import contextlib
import selectors
import socket
import threading


class TcpProxy:
    """Listens on 127.0.0.1 and hands on to the server's Unix socket, by one thread. `url(database)` goes through it."""

    def __init__(self, folder):
        self._target = f"{folder}/.s.PGSQL.5432"
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs = {}
        self._silent = self._refuses = False
        self._left = {"up": None, "down": None}  # bytes until all is cut, to and from the server
        self.bytes = {"up": 0, "down": 0}
        self.cuts = 0
        self._bell, self._ring = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for end in (self._server, self._bell):
            self._selector.register(end, selectors.EVENT_READ)
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def url(self, url):
        """The same database, through here."""
        return (
            f"postgresql://tests@127.0.0.1:{self.port}/{url.split('/')[-2 if url.endswith('/') else 3].split('?')[0]}"
        )

    def cut(self):
        """End every connection, as a machine does that was switched off and on."""
        with self._lock:
            self._cut()

    def cut_after(self, direction, count):
        """End every connection when so many more bytes went `up` to the server or `down` from it."""
        with self._lock:
            self._left[direction] = count

    def silence(self, silent=True):
        """Hand on nothing, and tell nobody: half-open connections."""
        with self._lock:
            self._silent = silent
        self._ring.send(b"!")

    def refuse(self, refuses=True):
        """Let nobody in; who is in stays."""
        self._refuses = refuses

    def close(self):
        self._closed = True
        self._ring.send(b"!")
        self._thread.join()
        self._cut()
        for end in (self._server, self._bell, self._ring, self._selector):
            end.close()

    def _run(self):
        while not self._closed:
            for key, _ in self._selector.select():
                with self._lock:
                    if key.fileobj is self._server:
                        self._accept()
                    elif key.fileobj is self._bell:
                        self._bell.recv(100)
                        self._listen()
                    elif key.fileobj in self._pairs:
                        self._move(key.fileobj)

    def _accept(self):
        client, _ = self._server.accept()
        if self._refuses:
            client.close()
            return
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._target)
        except OSError:
            client.close()
            return
        self._pairs[client], self._pairs[server] = (server, "up"), (client, "down")
        self._listen()

    def _listen(self):
        """While it is silent nothing is read."""
        for end in self._pairs:
            with contextlib.suppress(KeyError):
                self._selector.unregister(end)
            if not self._silent:
                self._selector.register(end, selectors.EVENT_READ)

    def _move(self, end):
        other, direction = self._pairs[end]
        try:
            data = end.recv(65536)
            left = self._left[direction]
            if data and (left is None or len(data) < left):
                other.sendall(data)
                self.bytes[direction] += len(data)
                self._left[direction] = left and left - len(data)
                return
            if data:
                other.sendall(data[:left])
                self._left[direction] = None
                self._cut()
                return
        except OSError:
            pass
        for one in (end, other):
            self._end(one)

    def _cut(self):
        self.cuts += 1
        for end in list(self._pairs):
            self._end(end)

    def _end(self, end):
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(end)
        self._pairs.pop(end, None)
        end.close()
