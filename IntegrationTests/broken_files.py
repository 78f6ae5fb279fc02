# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration files that are broken in every way, and what the program has to say about each."""

import concurrent.futures
import os
import re
import resource
import subprocess
import time

SECONDS = 20
MEMORY = 512 << 20

CLIENT, SERVER, FRPC, FRPS = "client", "server", "frpc", "frps"
TUNNEL = '[[tunnels]]\nkind = "http"\ntarget = "3000"\n'
PROXY = '[[proxies]]\nname = "a"\ntype = "tcp"\nlocalPort = 22\n'


def yaml_bomb():
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += ["a%d: &a%d [%s]" % (n, n, ", ".join(["*a%d" % (n - 1)] * 9)) for n in range(1, 12)]
    return "\n".join(levels) + "\n"


def yaml_list_bomb():
    lines = ["a0: &a0 [x, x]"]
    for n in range(1, 40):
        lines += ["a%d: &a%d" % (n, n), "  - *a%d" % (n - 1), "  - *a%d" % (n - 1)]
    return "\n".join(lines) + "\n"


# (file name, for whom, text, line or None when any, what has to be in the answer)
CASES = [
    # Adit's own files, TOML.
    ("key.toml", SERVER, 'domian = "a.test"\n', 1, "domain"),
    ("key2.toml", SERVER, 'listen = "127.0.0.1"\n\nsesionPort = 1\n', 3, "sessionPort"),
    ("case.toml", SERVER, "sessionport = 7000\n", 1, "sessionPort"),
    ("table.toml", SERVER, "[server]\nsessionPort = 7000\n", 1, "server"),
    ("type.toml", SERVER, 'sessionPort = "seven"\n', 1, "sessionPort"),
    ("type2.toml", SERVER, 'allowFRP = "perhaps"\n', 1, "allowFRP"),
    ("type3.toml", SERVER, "domain = 5\n", 1, "domain"),
    ("type4.toml", SERVER, 'reservedNames = "a"\n', 1, ""),
    ("type5.toml", SERVER, "sessionPort = [7000]\n", 1, "sessionPort"),
    ("type6.toml", SERVER, "sessionPort = 7000.5\n", 1, "sessionPort"),
    ("range.toml", SERVER, "sessionPort = 70000\n", 1, "70000"),
    ("range2.toml", SERVER, "\nhttpPort = -1\n", 2, "-1"),
    ("range3.toml", SERVER, 'publicPorts = "30000-20000"\n', 1, "publicPorts"),
    ("range4.toml", SERVER, 'publicPorts = "1-99999"\n', 1, ""),
    ("range5.toml", SERVER, "drainSeconds = -5\n", 1, ""),
    ("huge.toml", SERVER, "sessionPort = 99999999999999999999999\n", 1, ""),
    ("address.toml", SERVER, 'listen = "300.1.2.3"\n', 1, "listen"),
    ("domain.toml", SERVER, 'domain = "a b"\n', 1, "domain"),
    ("token.toml", SERVER, 'token = ""\n', 1, ""),
    ("level.toml", SERVER, 'logLevel = "loud"\n', 1, "logLevel"),
    ("twice.toml", SERVER, "sessionPort = 1\nsessionPort = 2\n", 2, "sessionPort"),
    ("open.toml", SERVER, 'domain = "a.test\n', 1, ""),
    ("open2.toml", SERVER, "sessionPort =\n", 1, ""),
    ("open3.toml", CLIENT, "[[tunnels\n", 1, ""),
    ("array.toml", SERVER, "reservedNames = [1, 2\n", None, ""),
    ("kind.toml", CLIENT, TUNNEL.replace("http", "htp"), 2, "http"),
    ("target.toml", CLIENT, TUNNEL.replace("3000", "70000"), 3, "70000"),
    ("notarget.toml", CLIENT, '[[tunnels]]\nkind = "http"\n', None, "target"),
    ("tunnelkey.toml", CLIENT, TUNNEL + 'naem = "x"\n', 4, "name"),
    ("names.toml", CLIENT, TUNNEL + 'name = "x"\n' + TUNNEL.replace("3000", "3001") + 'name = "x"\n', None, "x"),
    ("badname.toml", CLIENT, TUNNEL + 'name = "a_b/c"\n', 4, ""),
    ("cidr.toml", CLIENT, TUNNEL + 'allow = ["10.0.0.0/33"]\n', 4, "10.0.0.0/33"),
    ("auth.toml", CLIENT, TUNNEL + 'auth = ["nocolon"]\n', 4, ""),
    ("expires.toml", CLIENT, TUNNEL + 'expires = "soon"\n', 4, "soon"),
    ("header.toml", CLIENT, TUNNEL + 'requestHeaders = { "X Y" = "a" }\n', 4, ""),
    ("inject.toml", CLIENT, TUNNEL + 'requestHeaders = { "X" = "a\\r\\nHost: evil" }\n', 4, ""),
    ("empty-table.toml", CLIENT, "tunnels = 5\n", 1, "tunnels"),
    ("server.toml", CLIENT, 'server = "host:99999"\n' + TUNNEL, 1, ""),
    ("fingerprint.toml", CLIENT, 'fingerprint = "SHA256:short"\n' + TUNNEL, 1, ""),
    # Bytes.
    ("utf8.toml", SERVER, b'domain = "\xff\xfe"\n', 1, ""),
    ("latin1.toml", SERVER, "sessionPort = 1\n# caf\u00e9\n".encode("latin1"), 2, ""),
    ("utf16.toml", SERVER, "sessionPort = 7000\n".encode("utf16"), 1, ""),
    ("nul.toml", SERVER, b"sessionPort = 7000\n\0\n", 2, ""),
    ("bom-then-wrong.toml", SERVER, b"\xef\xbb\xbfsesionPort = 1\n", 1, "sessionPort"),
    ("random.toml", SERVER, bytes((value * 73 + 41) % 256 for value in range(4000)), None, ""),
    ("escape.toml", SERVER, b'domain = "\x1b[2J\x1b]0;title\x07"\n', 1, ""),
    ("long-line.toml", SERVER, b'domain = "' + b"x" * (10 << 20) + b'"\n', None, ""),
    ("long-key.toml", SERVER, b"x" * 200000 + b" = 1\n", 1, ""),
    ("many-lines.toml", SERVER, b"a = 1\n" * 500000, None, ""),
    ("many-keys.toml", SERVER, b"".join(b"key%d = 1\n" % n for n in range(20000)), 1, ""),
    ("deep.toml", SERVER, b"a = " + b"[" * 30000, None, ""),
    ("deep2.toml", SERVER, b"a." * 20000 + b"a = 1\n", None, ""),
    # YAML.
    ("tab.yaml", SERVER, "a:\n\tb: 1\n", 2, ""),
    ("indent.yaml", CLIENT, "tunnels:\n  - kind: http\n   target: 3000\n", None, ""),
    ("key.yaml", SERVER, "# a comment\nsesionPort: 7000\n", 2, "sessionPort"),
    ("twice.yaml", SERVER, "sessionPort: 1\nsessionPort: 2\n", 2, "sessionPort"),
    ("bomb.yaml", SERVER, yaml_bomb(), None, ""),
    ("bomb2.yaml", SERVER, yaml_list_bomb(), None, ""),
    ("self.yaml", SERVER, "a: &a [*a]\n", 1, ""),
    ("unknown-alias.yaml", SERVER, "domain: *nobody\n", 1, ""),
    ("tag.yaml", SERVER, "domain: !!python/object/apply:os.system [id]\n", 1, ""),
    ("list.yaml", SERVER, "- 1\n- 2\n", 1, ""),
    ("scalar.yaml", SERVER, "hello\n", 1, ""),
    ("two.yaml", SERVER, "sessionPort: 7000\n---\nsessionPort: 7001\n", None, ""),
    ("quote.yaml", SERVER, 'domain: "a.test\n', None, ""),
    ("flow.yaml", SERVER, "reservedNames: [a, b\n", None, ""),
    ("deep.yaml", SERVER, "a: " * 1 + "[" * 20000, None, ""),
    # JSON.
    ("comma.json", SERVER, '{"sessionPort": 7000,}\n', 1, ""),
    ("open.json", SERVER, '{"sessionPort": 7000\n', None, ""),
    ("single.json", SERVER, "{'sessionPort': 7000}\n", 1, ""),
    ("comment.json", SERVER, '{\n// hello\n"sessionPort": 7000}\n', 2, ""),
    ("key.json", SERVER, '{\n  "sesionPort": 7000\n}\n', 2, "sessionPort"),
    ("twice.json", SERVER, '{"sessionPort": 1,\n "sessionPort": 2}\n', 2, "sessionPort"),
    ("number.json", SERVER, '{"sessionPort": 0x1B58}\n', 1, ""),
    ("nan.json", SERVER, '{"sessionPort": NaN}\n', 1, ""),
    ("surrogate.json", SERVER, '{"domain": "\\ud800"}\n', 1, ""),
    ("trailing.json", SERVER, '{"sessionPort": 7000} x\n', 1, ""),
    ("deep.json", SERVER, '{"a":' * 30000, None, ""),
    ("null.json", SERVER, '{"sessionPort": null, "domain": 7}\n', 1, ""),
    ("empty.json", SERVER, "", 1, ""),
    # frp's schemas.
    ("key.toml", FRPS, "bindPrt = 7000\n", 1, "bindPort"),
    ("type.toml", FRPS, 'bindPort = "x"\n', 1, "bindPort"),
    ("range.toml", FRPS, "bindPort = 70000\n", 1, "70000"),
    ("ports.toml", FRPS, "allowPorts = [{ start = 5, end = 2 }]\n", 1, ""),
    ("scope.toml", FRPC, PROXY + 'serverAddr = "x"\n', 5, "serverAddr"),
    ("proxytype.toml", FRPC, PROXY.replace("tcp", "tpc"), 3, "tcp"),
    ("proxyport.toml", FRPC, PROXY.replace("22", "99999"), 4, "99999"),
    ("proxykey.toml", FRPC, PROXY + "remotPort = 5\n", 5, "remotePort"),
    ("noname.toml", FRPC, '[[proxies]]\ntype = "tcp"\n', None, "name"),
    ("template.toml", FRPC, 'serverAddr = "{{ .Envs.HOME "\n', 1, ""),
    ("template2.toml", FRPC, 'serverAddr = "{{ exec "id" }}"\n', 1, ""),
    (
        "template3.toml",
        FRPC,
        'serverAddr = "x"\n{{- range $_, $v := parseNumberRangePair "1-99999999" "1-99999999" }}\n[[proxies]]\n{{- end }}\n',
        None,
        "",
    ),
    ("include.toml", FRPC, 'includes = ["include.toml"]\n' + PROXY, None, "a"),
    ("include2.toml", FRPC, 'includes = ["/nowhere/*/x.toml"]\n' + PROXY, None, ""),
    ("key.yaml", FRPC, "serverAdr: x\n", 1, "serverAddr"),
    ("bomb.yaml", FRPS, yaml_bomb(), None, ""),
    ("key.json", FRPS, '{"bindPrt": 7000}\n', 1, "bindPort"),
    ("noserver.ini", FRPC, "[common]\nserver_addr = x\nserver_port = abc\n", 3, "abc"),
    ("section.ini", FRPC, "[common\nserver_addr = x\n", 1, ""),
    ("nosection.ini", FRPC, "server_addr = x\n", 1, ""),
    ("type.ini", FRPC, "[common]\nserver_addr = x\n[ssh]\ntype = tpc\nlocal_port = 22\n", 4, "tcp"),
    ("port.ini", FRPC, "[common]\nserver_addr = x\n[ssh]\ntype = tcp\nlocal_port = 99999\n", 5, "99999"),
    ("range.ini", FRPC, "[common]\nserver_addr = x\n[range:x]\ntype = tcp\nlocal_port = 1-4\nremote_port = 1-3\n", None, ""),
    ("port.ini", FRPS, "[common]\nbind_port = x\n", 2, "x"),
    ("nul.ini", FRPS, b"[common]\nbind_port = 1\0\n", 2, ""),
    ("long.ini", FRPS, b"[common]\nbind_port = " + b"1" * 200000 + b"\n", 2, ""),
    ("random.ini", FRPC, bytes((value * 89 + 7) % 256 for value in range(4000)), None, ""),
]


def commands(adit, kind, path):
    if kind in (CLIENT, SERVER):
        return [adit, "config", "check", "--kind", kind, path]
    return [adit, kind, "verify", "-c", path]


def limit_memory():
    # Address space is much more than memory; this only stops what has no bound at all.
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


def check_one(adit, folder, case):
    name, kind, text, line, wanted = case
    place = folder / "broken" / kind
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    title = kind + "/" + name
    begun = time.monotonic()
    process = subprocess.Popen(
        commands(adit, kind, name),
        cwd=place,
        env=dict(os.environ, LC_ALL="C.UTF-8", NO_COLOR="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=limit_memory,
    )
    try:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        process.stdout.close()
    seconds = time.monotonic() - begun
    answer = output.decode("utf-8", "replace")
    faults = []
    if process.returncode != 1:
        faults.append("%s: exit status %d: %s" % (title, process.returncode, answer[:300]))
        return faults
    if seconds > SECONDS:
        faults.append("%s: took %.1f s" % (title, seconds))
    if usage.ru_maxrss * 1024 > MEMORY:
        faults.append("%s: took %d MB" % (title, usage.ru_maxrss >> 10))
    if len(output) > 64 << 10:
        faults.append("%s: answered with %d bytes" % (title, len(output)))
    if any(byte < 32 and byte not in b"\n\t" for byte in output) or b"\x7f" in output:
        faults.append("%s: control characters in the answer" % title)
    if re.search(r"/nowhere|is duplicated", answer) and kind == FRPC:
        return faults
    found = re.search(r"%s:(\d+):(\d+): " % re.escape(name), answer)
    if not found:
        faults.append("%s: no file:line:column in %r" % (title, answer[:300]))
        return faults
    if line is not None and int(found[1]) != line:
        faults.append("%s: line %s, not %d: %s" % (title, found[1], line, answer[:200]))
    if wanted and wanted not in answer:
        faults.append("%s: no word of %r in %s" % (title, wanted, answer[:300]))
    shown = (text if isinstance(text, bytes) else text.encode()).split(b"\n")[int(found[1]) - 1 : int(found[1])]
    plain = b"".join(shown).strip(b"\r \t\xef\xbb\xbf")
    if plain.isascii() and plain.decode().isprintable() and plain and plain.decode()[:40] not in answer:
        faults.append("%s: the line %r is not shown: %s" % (title, plain[:40], answer[:300]))
    return faults


def check_files(adit, folder):
    """How many files were tried, and what went wrong, a line each."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = [fault for faults in pool.map(lambda case: check_one(adit, folder, case), CASES) for fault in faults]
    return len(CASES), found
