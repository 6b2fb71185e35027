#!/usr/bin/env python3
"""Servers and clients of the package's tests, with nothing but Python: they run where only the package is installed.

  serve NAME PORT              answers each line (TCP) and each datagram (UDP) with NAME, IPv4 and IPv6
  ask ADDRESS PORT             one request on a connection of its own: prints who answered, or refused, reset, closed, timeout
  load ADDRESS PORT HELD FILE  until SIGTERM: one new connection after the other, and HELD that stay and ask ten times a second;
                               then writes "NEW new, FAILED failed, HELD held, BROKEN broken, slowest MS ms" to FILE
  datagrams ADDRESS PORT FILE  until killed: one socket, twenty datagrams a second; FILE holds who answered last
  flips SERVICE COUNT SECONDS  forces the backup and the primary in turn, at hanatd's control socket, so often or so long: prints
                               "COUNT flips in MS ms"
  stay ADDRESS PORT FILE       one connection that waits in silence; FILE gets "connected", then how it ended
  busy ADDRESS PORT FILE       one connection that asks ten times a second; FILE likewise, and has the time of the last answer

Not here: what the answers should be (scenes.sh)."""
import os
import signal
import socket
import sys
import threading
import time

PAUSE = float(os.environ.get("PAUSE", "0.002"))  # s, between two new connections; an emulated machine needs longer ones
PATIENCE = 5.0  # s; a SYN that was dropped once is sent again after 1 s


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(name, port):
    reply = name.encode() + b"\n"

    def lines(connection):
        try:
            while data := connection.recv(4096):
                connection.sendall(reply * data.count(b"\n"))
        except OSError:
            pass
        connection.close()

    def datagrams():
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.bind(("::", port))
        while True:
            try:
                _, who = udp.recvfrom(4096)
                udp.sendto(reply, who)
            except OSError:
                pass

    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
    threading.Thread(target=datagrams, daemon=True).start()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=lines, args=(connection,), daemon=True).start()


def word(error):
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionResetError):
        return "reset"
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "timeout"
    return str(error)


def connected(address, port, patience):
    connection = socket.socket(family(address), socket.SOCK_STREAM)
    connection.settimeout(patience)
    connection.connect((address, port))
    return connection


def request(connection):
    connection.sendall(b"who\n")
    answer = connection.recv(256)
    if not answer:
        raise OSError("closed")
    return answer.decode().strip()


def ask(address, port):
    try:
        with connected(address, port, PATIENCE) as connection:
            return request(connection)
    except OSError as error:
        return word(error)


def write(path, text):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text + "\n")
    os.rename(path + ".new", path)


def load(address, port, held, path):
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    broken = []

    def hold(connection):
        while not over.is_set():
            try:
                request(connection)
            except OSError as error:
                broken.append(word(error))
                return
            time.sleep(0.1)

    threads = [threading.Thread(target=hold, args=(connected(address, port, PATIENCE),)) for _ in range(held)]
    for thread in threads:
        thread.start()
    write(path, "begun")
    new, failed, slowest = 0, [], 0.0
    while not over.is_set():
        start = time.monotonic()
        new += 1
        try:
            with connected(address, port, PATIENCE) as connection:
                request(connection)
        except OSError as error:
            failed.append(word(error))
        slowest = max(slowest, time.monotonic() - start)
        time.sleep(PAUSE)
    for thread in threads:
        thread.join()
    write(path, f"{new} new, {len(failed)} failed, {held} held, {len(broken)} broken, slowest {slowest * 1000:.0f} ms")
    if failed or broken:
        print("failed:", failed[:5], "broken:", broken[:5])


def datagrams(address, port, path):
    udp = socket.socket(family(address), socket.SOCK_DGRAM)
    udp.settimeout(0.05)
    udp.connect((address, port))
    last = ""
    while True:
        try:
            udp.send(b"who\n")
            answer = udp.recv(256).decode().strip()
            time.sleep(0.05)
        except OSError as error:
            answer = "nobody" if isinstance(error, (TimeoutError, socket.timeout)) else word(error)
            time.sleep(0.01)
        if answer != last:
            last = answer
            write(path, answer)


def stay(address, port, path):
    with connected(address, port, PATIENCE) as connection:
        request(connection)
        write(path, "connected")
        connection.settimeout(60)
        try:
            write(path, "closed" if not connection.recv(1) else "data")
        except OSError as error:
            write(path, word(error))


def busy(address, port, path):
    with connected(address, port, 60) as connection:
        request(connection)
        write(path, "connected")
        try:
            while True:
                request(connection)
                os.utime(path)
                time.sleep(0.1)
        except OSError as error:
            write(path, word(error))


def flips(service, count, seconds):
    begun = time.monotonic()
    done = 0
    with socket.socket(socket.AF_UNIX) as control:
        control.connect("/run/hanat/control.sock")
        while done < count and time.monotonic() < begun + seconds:
            server = "primary" if done % 2 else "backup"
            control.sendall(b'{"method":"io.hanat.Control.Force","parameters":{"service":"%s","server":"%s"}}\0' % (service.encode(), server.encode()))
            answer = b""
            while not answer.endswith(b"\0"):
                answer += control.recv(65536) or sys.exit("hanatd closed the connection")
            if b'"error"' in answer:
                sys.exit(answer)
            done += 1
    print(f"{done} flips in {(time.monotonic() - begun) * 1000:.0f} ms")


def main(arguments):
    job, rest = arguments[0], arguments[1:]
    if job == "serve":
        serve(rest[0], int(rest[1]))
    elif job == "ask":
        print(ask(rest[0], int(rest[1])))
    elif job == "load":
        load(rest[0], int(rest[1]), int(rest[2]), rest[3])
    elif job == "datagrams":
        datagrams(rest[0], int(rest[1]), rest[2])
    elif job == "flips":
        flips(rest[0], int(rest[1]), float(rest[2]))
    elif job == "stay":
        stay(rest[0], int(rest[1]), rest[2])
    elif job == "busy":
        busy(rest[0], int(rest[1]), rest[2])
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
