# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The programs that take part: Adit's server and device, the haproxies of the base, and the load at both ends."""

import os
import pathlib
import random
import re
import resource
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent


class Failure(Exception):
    """Something that ends a case, said for people."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def free_range(count):
    """Ports in a row that were free a moment ago, below those that the system gives to connections."""
    while True:
        first = random.randrange(21000, 32000 - count)
        try:
            for port in range(first, first + count):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first, first + count - 1


class Folder:
    """Where the programs of one run keep what they write; ends them all."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.running = []
        self.count = 0

    def place(self, name):
        self.count += 1
        return self.path / ("%d-%s" % (self.count, name))

    def start(self, name, arguments, environment=None, **pipes):
        """Starts a program; what it says goes to a file that `last_words` shows."""
        log = self.place(name + ".log")
        with open(log, "wb") as file:
            pipes.setdefault("stdout", file)
            process = subprocess.Popen(
                [str(each) for each in arguments],
                env=environment,
                stdin=pipes.pop("stdin", subprocess.DEVNULL),
                stderr=file,
                **pipes,
            )
        process.log = log
        self.running.append(process)
        return process

    def wait_for_port(self, process, port):
        """Waits until `process` listens there, itself or through another one."""
        for _ in range(400):
            try:
                return socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                if process.poll() is not None:
                    break
                time.sleep(0.05)
        said = "\n".join(last_words(each) for each in self.running if each is not self.running[0])
        raise Failure("nothing listens on port %d\n%s" % (port, said))

    def stop(self, processes):
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self.running.remove(process)

    def stop_all(self):
        self.stop(list(reversed(self.running)))


def last_words(process):
    return process.log.read_text(errors="replace")[-1500:]


class Relay:
    """Programs in a row that lead a visitor to the service, and the port that the visitor dials."""

    def __init__(self, folder, processes, port, host=None):
        self.folder = folder
        self.processes = processes
        self.port = port
        self.host = host

    @property
    def pids(self):
        return [each.pid for each in self.processes]

    def check(self):
        for each in self.processes:
            if each.poll() is not None:
                raise Failure("%s ended\n%s" % (each.args[0], last_words(each)))

    def stop(self):
        self.folder.stop(self.processes)


class Load:
    """load.c, compiled; its service runs as long as the benchmark."""

    def __init__(self, folder):
        self.folder = folder
        self.program = folder.path / "load"
        subprocess.run(["gcc", "-O2", "-o", str(self.program), str(HERE / "load.c")], check=True)
        self.service = folder.start(
            "service", [self.program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self.service.stdout.readline())

    def run(self, *order):
        """Units done and seconds taken."""
        arguments = [str(self.program), *(str(each) for each in order)]
        result = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if result.returncode != 0:
            raise Failure("%s: %s" % (" ".join(arguments[1:]), result.stderr.strip()))
        units, seconds = result.stdout.split()
        return int(units), float(seconds)

    def forwarders(self):
        """The simplest relay of datagrams, two in a row: haproxy has none."""
        behind, port = self.forwarder(self.port)
        front, port = self.forwarder(port)
        return Relay(self.folder, [front, behind], port)

    def forwarder(self, target):
        order = [self.program, "forward", target]
        process = self.folder.start("forward", order, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return process, int(process.stdout.readline())

    def hold(self, port):
        return Holder(self.folder, self.program, port)


class Holder:
    """Connections that stay open without traffic."""

    def __init__(self, folder, program, port):
        self.folder = folder
        self.process = folder.start(
            "hold", [program, "hold", port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def grow(self, count):
        self.process.stdin.write("%d\n" % count)
        self.process.stdin.flush()
        if self.process.stdout.readline() != "held %d\n" % count:
            raise Failure("%d connections cannot be held: %s" % (count, last_words(self.process)))


def wrk(folder, address, seconds, host="127.0.0.1", connections=50):
    """HTTP requests answered within the seconds, over keep-alive connections; `host` need not resolve."""
    script = folder.path / "loopback.lua"
    script.write_text('function wrk.resolve(host, service) wrk.addrs = wrk.lookup("127.0.0.1", service) end\n')
    url = address.replace("HOST", host)
    order = ["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "-s", str(script), url]
    result = subprocess.run(order, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    text = result.stdout + result.stderr
    done = re.search(r"(\d+) requests in ([0-9.]+)(m?s)", text)
    if result.returncode != 0 or done is None or int(done[1]) == 0:
        raise Failure("wrk %s:\n%s" % (url, text))
    wrong = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", text)
    if wrong:
        raise Failure("wrk %s: %s" % (url, wrong[0]))
    return int(done[1]), float(done[2]) / (1000 if done[3] == "ms" else 1)


def certificate(folder, host):
    """A fresh certificate that nobody vouches for: the files of the chain, the key, and both in one."""
    chain, key, both = folder.place("chain.pem"), folder.place("key.pem"), folder.place("both.pem")
    order = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    order += ["-subj", "/CN=" + host, "-addext", "subjectAltName=DNS:" + host, "-keyout", key, "-out", chain]
    subprocess.run(order, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    both.write_text(chain.read_text() + key.read_text())
    return chain, key, both


def descriptors():
    """How many files a process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


# Few enough connections that both sides of each, and pipes for splicing, find descriptors.
HAPROXY = """global
  nbthread 1
  maxconn %(connections)d
defaults
  mode %(mode)s
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  %(option)s
"""


class Haproxy:
    """The base: two of them in a row, one thread each."""

    def __init__(self, folder):
        self.folder = folder

    def hop(self, listen, mode="tcp", option=""):
        """One haproxy; `listen` is the rest of its configuration, with PORT where it listens."""
        port = free_port()
        file = self.folder.place("haproxy.cfg")
        values = {"mode": mode, "option": option, "connections": min(6000, descriptors() // 3)}
        file.write_text(HAPROXY % values + listen.replace("PORT", str(port)))
        process = self.folder.start("haproxy", ["haproxy", "-db", "-f", file])
        self.folder.wait_for_port(process, port)
        return process, port

    def plain_hop(self, target, option=""):
        return self.hop(
            "listen relay\n  bind 127.0.0.1:PORT\n  server one 127.0.0.1:%d\n" % target, option=option
        )

    def tcp(self, target, option=""):
        behind, port = self.plain_hop(target, option)
        front, port = self.plain_hop(port, option)
        return Relay(self.folder, [front, behind], port)

    def by_name(self, target, host, certificate=None):
        """The front one reads requests and chooses by name, after TLS when it has a certificate."""
        behind, port = self.plain_hop(target)
        secure = " ssl crt %s" % certificate if certificate else ""
        front, port = self.hop(
            "frontend names\n  bind 127.0.0.1:PORT%s\n  acl wanted hdr(host),field(1,:) -i %s\n"
            "  use_backend device if wanted\nbackend device\n  server one 127.0.0.1:%d\n" % (secure, host, port),
            mode="http",
        )
        return Relay(self.folder, [front, behind], port, host)


class Adit:
    """A server and a device that joined it, each with a state folder of its own."""

    def __init__(self, folder, binary):
        self.folder = folder
        self.binary = binary

    def environment(self, name):
        home = self.folder.place(name)
        home.mkdir(mode=0o700)
        return dict(os.environ, ADIT_HOME=str(home), LC_ALL="C.UTF-8")

    def run(self, environment, *arguments):
        order = [self.binary, *arguments]
        result = subprocess.run(order, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if result.returncode != 0:
            raise Failure("adit %s: %s" % (" ".join(arguments), result.stderr.strip() or result.stdout.strip()))
        return result.stdout + result.stderr

    def mentions(self, word, *command):
        """Whether the help of a command has the line of another command or an option."""
        # An unknown word is taken for the target of `adit http`, so trying it would tell nothing.
        text = self.run(self.environment("help"), *command, "--help")
        return re.search(r"^  %s\s" % re.escape(word), text, re.M) is not None

    def tunnel(self, *order, server=()):
        """Starts both, the server with more options, and the tunnel `order`; gives the relay and the public address."""
        at_server, at_device = self.environment("server"), self.environment("device")
        session, http = free_port(), free_port()
        listen = ["--listen", "127.0.0.1", "--port", session, "--http-port", http]
        if self.mentions("--no-stun", "server", "run"):
            listen.append("--no-stun")
        public = ["--public-ports", "%d-%d" % free_range(8)]
        first = self.folder.start("server", [self.binary, "server", *listen, *public, *server], at_server)
        self.folder.wait_for_port(first, session)
        invite = self.run(at_server, "server", "invite")
        code = re.search(r"\S+/[0-9A-Za-z]{4}(-[0-9A-Za-z]+)+", invite)[0]
        self.run(at_device, "join", code, "--name", "bench")
        arguments = [self.binary, *order, "--url-only"]
        second = self.folder.start("device", arguments, at_device, stdout=subprocess.PIPE, text=True)
        address = second.stdout.readline().strip()
        if not address:
            raise Failure("adit %s: %s" % (" ".join(str(each) for each in order), last_words(second)))
        port = re.search(r":(\d+)/?$", address)
        return Relay(self.folder, [first, second], int(port[1]) if port else http), address

    def tcp(self, target):
        return self.tunnel("tcp", target, "--public")[0]

    def udp(self, target):
        return self.tunnel("udp", target)[0]

    def http(self, target, name):
        relay, address = self.tunnel("http", target, "--name", name)
        relay.host = re.match(r"https?://([^:/]+)", address)[1]
        return relay

    def https(self, target, host, certificate, key):
        """The name `host`, below localhost, with TLS that ends at the server."""
        port = free_port()
        server = ["--https-port", port, "--certificate", certificate, "--key", key]
        relay, _ = self.tunnel("http", target, "--name", host.split(".")[0], server=server)
        relay.port, relay.host = port, host
        return relay

    def frp(self, target):
        """frp's two roles with `tcpMux = false` and no TLS: one plain connection for each visitor."""
        bind, public = free_port(), free_port()
        first_file, second_file = self.folder.place("frps.toml"), self.folder.place("frpc.toml")
        first_file.write_text(
            'bindAddr = "127.0.0.1"\nbindPort = %d\nauth.token = "bench"\ntransport.tcpMux = false\n' % bind
        )
        second_file.write_text(
            'serverAddr = "127.0.0.1"\nserverPort = %d\nauth.token = "bench"\ntransport.tcpMux = false\n'
            "transport.tls.enable = false\n[[proxies]]\n"
            'name = "bench"\ntype = "tcp"\nlocalIP = "127.0.0.1"\nlocalPort = %d\nremotePort = %d\n'
            % (bind, target, public)
        )
        first = self.folder.start("frps", [self.binary, "frps", "-c", first_file], self.environment("frps"))
        self.folder.wait_for_port(first, bind)
        second = self.folder.start("frpc", [self.binary, "frpc", "-c", second_file], self.environment("frpc"))
        self.folder.wait_for_port(second, public)
        return Relay(self.folder, [first, second], public)
