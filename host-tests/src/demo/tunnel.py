"""An HTTP proxy that ends the TLS of all who come, for clients that show a login to nobody without it: certificate, Envoy's port."""

import select, socket, ssl, sys, threading

certificate, port = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)


def serve(client):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    client = context.wrap_socket(client, server_side=True)
    envoy = socket.create_connection(("127.0.0.1", int(port)))
    while True:
        for ready in [client] if client.pending() else select.select([client, envoy], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                client.close()
                envoy.close()
                return
            (envoy if ready is client else client).sendall(data)


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
