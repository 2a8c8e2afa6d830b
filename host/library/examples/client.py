"""An HTTP client that reaches a TLS server through a proxy's UNIX socket.

It knows the socket's path and nothing of TLS: the proxy has checked whom it speaks to.

    python3 client.py SOCKET HOST [PATH]
"""

import http.client
import socket
import sys


class UnixHTTPConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket; `host` is for the request's Host field alone."""

    def __init__(self, socket_path, host, timeout=60):
        super().__init__(host, timeout=timeout)
        self.socket_path = socket_path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.socket_path)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    path = sys.argv[3] if len(sys.argv) == 4 else "/"
    connection = UnixHTTPConnection(sys.argv[1], sys.argv[2])
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"{sys.argv[1]}: {error!r}; the proxy's diagnosis says why")
    finally:
        connection.close()
    print(response.status, response.reason, len(body), "bytes")


if __name__ == "__main__":
    main()
