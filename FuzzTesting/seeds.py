#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the first inputs of the corpus, made by the independent peers; what the fuzzer finds is added beside them."""

import base64
import hashlib
import json
import pathlib
import random
import struct
import sys
import zlib

ROOT = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent / "IntegrationTests" / "peers"))

import messages  # noqa: E402
import payload  # noqa: E402


class Sink:
    """A link that keeps what is written."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data


def save(decoder, *inputs):
    folder = ROOT / "Corpus" / decoder
    folder.mkdir(parents=True, exist_ok=True)
    for each in inputs:
        (folder / hashlib.sha1(each).hexdigest()).write_bytes(each)


def mux(kind, flags, number, length, body=b""):
    return struct.pack(">BBHII", 0, kind, flags, number, length) + body


def message(wire, name, **fields):
    sink = Sink()
    messages.Messages(sink, wire).send(name, **fields)
    return sink.data


EXAMPLES = [
    ("Login", dict(version="0.65.0", os="linux", user="me", privilege_key="0" * 32, timestamp=1, pool_count=1, metas={"a": "b"})),
    ("LoginResp", dict(version="0.65.0", run_id="0123456789abcdef")),
    ("LoginResp", dict(version="0.65.0", error="no\n\"'\\ \u0000 \u4e2d\u6587")),
    ("NewProxy", dict(proxy_name="me.web", proxy_type="http", custom_domains=["a.test", "*.b.test"], headers={"X": "y"})),
    ("NewProxy", dict(proxy_name="ssh", proxy_type="tcp", remote_port=6000, use_encryption=True, use_compression=True)),
    ("NewProxyResp", dict(proxy_name="ssh", remote_addr=":6000")),
    ("CloseProxy", dict(proxy_name="ssh")),
    ("NewWorkConn", dict(run_id="0123456789abcdef", privilege_key="0" * 32, timestamp=1700000000)),
    ("ReqWorkConn", {}),
    ("StartWorkConn", dict(proxy_name="ssh", src_addr="192.0.2.1", src_port=1234, dst_addr="::1", dst_port=22)),
    ("Ping", dict(privilege_key="0" * 32, timestamp=1700000000)),
    ("Pong", dict(error="no")),
]
WINDOW = (6 << 20) - (256 << 10)
OPENED = mux(1, 1, 1, WINDOW) + mux(0, 0, 1, 5, b"hello") + mux(1, 0, 1, 1 << 20) + mux(1, 4, 1, 0)

save(
    "ServiceRequest",
    b"\1\1\3ssh\0" + b"payload",
    b"\1\2\4me.a\x20" + bytes(range(32)),
    b"\1\1\x40" + b"n" * 64 + b"\0",
    b"\2\1\3ssh\0",
    b"\1\3\3ssh\0",
    b"\1\1\3s\nh\0",
    b"\1\1\2\xc3\x28\0",
    b"\1\1\3ssh\x1f",
)
save("ServiceAnswer", *(bytes((1, status, detail)) for status in range(7) for detail in range(4)), b"\2\0\0", b"\1\2",
     b"\1\0\1" + bytes(range(32)), b"\1\0\1" + bytes(31))
save("ServiceDatagrams", b"\0\5hello\0\0\0\1x", b"\xff\xe3" + b"x" * 20, b"\xff\xe4", b"\0\2ab\0")
save("YamuxHeader", mux(0, 0, 1, 5), mux(1, 1, 1, WINDOW), mux(2, 1, 0, 7), mux(3, 0, 0, 2), mux(9, 0, 0, 0), mux(0, 16, 1, 1))
save(
    "YamuxSession",
    *(bytes((first,)) + OPENED for first in range(16)),
    b"\1" + b"".join(mux(1, 1, number, 0) for number in range(1, 41, 2)),
    b"\1" + mux(2, 1, 0, 7) + mux(2, 2, 0, 7) + mux(3, 0, 0, 0),
    b"\4" + mux(1, 2, 1, WINDOW) + mux(0, 0, 1, 20, b"x" * 20) + mux(1, 8, 1, 0),
    b"\1" + mux(1, 1, 1, 0) + mux(0, 0, 1, 0xFFFFFFFF, b"x" * 50),
    b"\1" + mux(1, 1, 1, 0) + mux(1, 0, 1, 0xFFFFFFFF) + mux(1, 0, 1, 0xFFFFFFFF),
    b"\1" + mux(0, 5, 3, 3, b"abc") + mux(0, 0, 3, 1, b"d"),
)
for wire, decoder in (("v1", "FRPFrameV1"), ("v2", "FRPFrameV2")):
    each = [message(wire, name, **fields) for name, fields in EXAMPLES]
    save(decoder, *each, b"".join(each), each[0][:-1])
save("FRPFrameV1", b"o" + b"\xff" * 8 + b"{}", b"o" + struct.pack(">q", 10241), b"o" + struct.pack(">q", 2) + b"[]")
hello = {
    "bootstrap": {"transport": "tcp", "tls": True, "tcpMux": True},
    "capabilities": {
        "message": {"codecs": ["json"]},
        "crypto": {"algorithms": ["aes-256-gcm", "xchacha20-poly1305"], "clientRandom": "A" * 43 + "="},
        "adit": {"version": 1, "features": ["server-streams", "device-key"], "deviceKey": "A" * 43 + "="},
    },
}
answer = {"selected": {"message": {"codec": "json"}, "crypto": {"algorithm": "aes-256-gcm", "serverRandom": "A" * 43 + "="}}}
for kind, value in ((messages.CLIENT_HELLO, hello), (messages.SERVER_HELLO, answer), (messages.SERVER_HELLO, {"error": "no"})):
    sink = Sink()
    messages.send_frame(sink, kind, json.dumps(value).encode())
    save("FRPFrameV2", sink.data)
for number, value in (
    (0x4001, {"proxyName": "web", "time": 1700000000000, "method": "GET", "path": "/", "status": 200, "durationMs": 1.5}),
    (0x4002, {"proxyName": "web", "error": {"code": 308, "what": {"en": "a", "zh": "b"}, "why": [], "fix": None}}),
    (0x4003, {"reconnectAfterMs": 500}),
):
    sink = Sink()
    messages.send_frame(sink, messages.MESSAGE, struct.pack(">H", number) + json.dumps(value).encode())
    save("FRPFrameV2", sink.data)
    body = json.dumps(value).encode()
    save("FRPFrameV1", struct.pack(">cq", {0x4001: b"Q", 0x4002: b"X", 0x4003: b"D"}[number], len(body)) + body)
for letter, value in (
    (b"o", {"version": "1", "adit": {"hello": base64.b64encode(json.dumps(hello).encode()).decode()}}),
    (b"H", {"hello": base64.b64encode(json.dumps(answer).encode()).decode()}),
    (b"S", {"peer": "desk", "run": "0a", "key": "A" * 43 + "=", "body": "AQID", "signature": "A" * 86 + "=="}),
    (b"U", {"peer": "desk", "reason": "offline", "lastSeen": 1700000000}),
    (b"T", {"port": 3478, "username": "1:desk", "password": "p", "realm": "r", "expiresAt": 1700000000}),
    (b"R", {"proxyName": "web", "reason": "password", "count": 3, "seconds": 60}),
):
    save("FRPFrameV1", letter + struct.pack(">q", len(json.dumps(value))) + json.dumps(value).encode())
hellos = (hello, answer, {}, {"error": "no"}, {"selected": {"adit": {"version": 2}}})
save("LoginHellos", *(json.dumps(value).encode() for value in hellos))
for epoch, echo, number, when in ((1, 0, 1, 1700000000), (2**64 - 1, 7, 2**64 - 1, -1), (0, 1, 1, 0), (5, 6, 0, 0)):
    envelope = struct.pack(">BQQQq", 1, epoch, echo, number, when)
    for receiver, content in ((bytes(32), b""), (bytes(range(32)), b"path signal"), (b"\xff" * 32, b"x" * 6079)):
        save("PeerEnvelope", envelope + receiver + content)
save("PeerEnvelope", b"", b"\1" * 64, b"\2" + b"\1" * 64, b"\1" * 6144, b"\1" * 6145)

texts = [b"", b"a", b"abcd" * 50, bytes(range(256)), b"tunnel " * 300 + bytes(range(40))]
save("SnappyBlock", *(payload.snappy_compress(text) for text in texts), b"\xff\xff\xff\xff\x0f\0", b"\x04\x01\x00")
for text in texts:
    sink = Sink()
    payload.SnappyLink(sink).write(text)
    save("SnappyFrame", sink.data, sink.data + b"\xfe\3\0\0abc" + sink.data[10:], sink.data[:-1])
for first, name in enumerate(("aes-256-gcm", "xchacha20-poly1305")):
    sink = Sink()
    link = payload.AEADLink(sink, name, b"\7" * 32, b"\7" * 32)
    link.write(b"hello")
    link.write(b"")
    link.write(b"x" * 100)
    save("ControlStream", bytes((first,)) + sink.data, bytes((first,)) + sink.data[:-1], bytes((first,)) + sink.data[:20])
CODE = "0123-4567-89AB-CDEF-GHJK-MNPQ-RSTV-W"
save(
    "Invite",
    *(text.encode() for text in ("tunnel.example.com/" + CODE, "[::1]:7001/" + CODE.lower(), " 127.0.0.1:7000/" + CODE + "\n")),
    b"no-slash",
    b"/" + CODE.encode(),
    b"host/" + CODE.encode() + b"O",
)

TOML = """bindPort = 7000
\tvhostHTTPPort = 8080
auth.token = "t"
transport.tcpMux = false
allowPorts = [ { start = 2000, end = 3000 }, { single = 3001 }, ]
[[proxies]]
name = "web"
type = "http"
localPort = {{ .Envs.PORT }}
customDomains = ["a.test"]
[proxies.plugin]
type = "static_file"
"""
YAML = """bindPort: 7000
anchors: &a
  type: tcp
proxies:
  - name: ssh
    <<: *a
    localPort: 22
    remotePort: 6000
    transport: {useEncryption: true}
  - *a
"""
TREE = {"serverAddr": "x", "serverPort": 7000, "proxies": [{"name": "n", "type": "tcp", "localPort": 22, "remotePort": 6000}]}
INI = """[common]
server_addr = 127.0.0.1
server_port = 7000
[web]
type = http
local_port = 80
custom_domains = demo.yourserver.com,b.test
[range:many]
type = tcp
local_port = 6000-6002,6010
remote_port = 6000-6002,6010
"""
TUNNELS = {"server": "tunnel.example.com:7000", "tunnels": [{"name": "web", "http": 3000}, {"name": "ssh", "tcp": 22}]}
save("ConfigurationTOML", TOML.encode(), b"a = ", b"[[proxies]]\n[proxies]\n", b"listen = '127.0.0.1'\n\xff", b"a.b.c = 1e400\n")
save("ConfigurationYAML", YAML.encode(), b"a: [1, {b: c}, *d]\n", b"&a [*a]\n", b"- - - -\n  x: !!binary 0\n", b"a: 1\na: 2\n")
save("ConfigurationJSON", json.dumps(TREE).encode())
save("ConfigurationJSON", json.dumps(TUNNELS).encode(), b'{"a": [1e999, "\\ud800", {"a": {}}]}', b"[" * 300)
RANGE = b"{{ range $_, $v := parseNumberRangePair \"1-9\" \"1-9\" }}\n[{{$v.First}}]\n{{ end }}"
save("ConfigurationINI", INI.encode(), b"[common\n", b"x = y\n[common]\n= 1\n", RANGE, b'[c]\na = """x\n')
save("ConfigurationGuessed", *(text.encode() for text in (TOML, YAML, json.dumps(TREE), INI)))
save(
    "Address",
    *(b"a.test", b"A.Test.:8080", b"*.x", b"[::1]:80", b"[::ffff:1.2.3.4]", b"me@a:80", b"a..b", b"-", b"a:99999", b"1.2.3.4"),
    *(b"10.0.0.0/8", b"2001:db8::/32", b"::/0", b"0.0.0.0/33", b"fe80::1%eth0", b"::1.2.3.4", b"1:2:3:4:5:6:7:8", b"01.2.3.4"),
    *(b"localhost:22", b"[::1]", b"host", b":80", b"a" * 64 + b".b", b"x" * 254, "w\u0435b".encode(), b"\xff.test", b""),
)
NONCE = bytes(range(12))
V4 = b"\0" * 10 + b"\xff\xff"
PCP_MAP = NONCE + b"\x11\0\0\0" + struct.pack(">HH", 25565, 25565) + V4 + bytes(4)
save("NATPMP", b"\0\0", struct.pack(">BBHHHI", 0, 2, 0, 25565, 25565, 7200), b"\0\x82\0\2", b"\0\x80\0\3\0\0\0\7")
save("NATPMP", struct.pack(">BBHI", 0, 128, 0, 305) + bytes((203, 0, 113, 9)))
save("NATPMP", struct.pack(">BBHIHHI", 0, 129, 0, 5, 9, 1024, 3600))
save("PCP", struct.pack(">BBHI", 2, 0, 0, 0) + V4 + bytes((192, 168, 1, 2)), b"\0\x81\0\1\0\0\0\5")
for options in (b"", b"\2\0\0\0", b"\1\0\0\x10" + V4 + bytes((10, 0, 0, 1)), b"\xc8\0\0\3\1\2\3\0"):
    save("PCP", struct.pack(">BBHI", 2, 1, 0, 7200) + V4 + bytes((192, 168, 1, 2)) + PCP_MAP + options)
    save("PCP", struct.pack(">BBBBII", 2, 129, 0, 0, 7200, 99) + bytes(12) + PCP_MAP + options)
save("PCP", struct.pack(">BBBBII", 2, 129, 0, 2, 30, 99) + bytes(12), struct.pack(">BBBBII", 2, 128, 0, 0, 0, 7) + bytes(12))
IGD = b"urn:schemas-upnp-org:device:InternetGatewayDevice:1"
SEARCH = b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 2\r\nST: ' + IGD + b"\r\n\r\n"
FOUND = b"HTTP/1.1 200 OK\r\nST: " + IGD + b"\r\nLOCATION: http://192.168.1.1:5000/rootDesc.xml\r\n\r\n"
save("SSDP", SEARCH, FOUND, b"NOTIFY * HTTP/1.1\r\nNTS:ssdp:byebye\r\n\r\n", b"HTTP/1.1 200 OK\nA: b\n\n", FOUND[:-2])
TYPE = b"urn:schemas-upnp-org:service:WANIPConnection:"
SERVICE = b"<service><serviceType>" + TYPE + b"%s</serviceType><controlURL>%s</controlURL></service>"
DESCRIPTION = (
    b'<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><URLBase>http://192.168.1.1:5000/</URLBase><device>'
    b"<friendlyName>R &amp; D</friendlyName><deviceList><device><deviceList><device><serviceList>"
    + SERVICE % (b"1", b"/ctl/IPConn") + SERVICE % (b"2", b"http://192.168.1.9/ctl")
    + b"</serviceList></device></deviceList></device></deviceList></device></root>"
)
LAUGHS = b"<!DOCTYPE l [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><l>&b;</l>"
WIDE = "<?xml version='1.0' encoding='UTF-16'?><r>\u4e2d</r>".encode("utf-16")
XML = (LAUGHS, b"<r>&#x41;<![CDATA[<]]></r>", b"<a>" * 40, WIDE)
save("XMLElement", DESCRIPTION, *XML)
save("UPnPDescription", DESCRIPTION, DESCRIPTION.replace(b"/ctl/IPConn", b"../x?y#z"), *XML)
ENVELOPE = b'<?xml version="1.0"?><s:Envelope xmlns:s="urn:soap"><s:Body>%s</s:Body></s:Envelope>'
PLACE = b"<NewRemoteHost></NewRemoteHost><NewExternalPort>25565</NewExternalPort><NewProtocol>UDP</NewProtocol>"
WHERE = b"<NewInternalPort>25565</NewInternalPort><NewInternalClient>192.168.1.2</NewInternalClient><NewEnabled>1</NewEnabled>"
WORDS = b"<NewPortMappingDescription>adit</NewPortMappingDescription><NewLeaseDuration>7200</NewLeaseDuration>"
FAULT = b"<s:Fault><detail><UPnPError><errorCode>725</errorCode></UPnPError></detail></s:Fault>"
save(
    "UPnPSOAP",
    *(ENVELOPE % (b"<u:%s xmlns:u='x'>%s</u:%s>" % (name, body, name)) for name, body in (
        (b"AddPortMapping", PLACE + WHERE + WORDS), (b"AddAnyPortMapping", PLACE + WHERE + WORDS), (b"DeletePortMapping", PLACE),
        (b"GetSpecificPortMappingEntry", PLACE), (b"GetStatusInfo", b""), (b"GetExternalIPAddressResponse",
        b"<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>"), (b"AddAnyPortMappingResponse",
        b"<NewReservedPort>1024</NewReservedPort>"))),
    ENVELOPE % FAULT, *XML,
)


def stun(kind, *attributes, cookie=0x2112A442, fingerprint=False):
    body = b"".join(struct.pack(">HH", type, len(value)) + value + bytes(-len(value) % 4) for type, value in attributes)
    head = struct.pack(">HHI", kind, len(body) + (8 if fingerprint else 0), cookie) + bytes(range(1, 13))
    if fingerprint:
        body += struct.pack(">HHI", 0x8028, 4, zlib.crc32(head + body) ^ 0x5354554E)
    return head + body


CHANGE, PORT, PADDING = (3, b"\0\0\0\6"), (0x27, b"\x10\0\0\0"), (0x26, bytes(100))
ADDRESS = (1, b"\0\1\x0d\x96\xcb\0\x71\7")
REQUESTS = [
    stun(1), stun(1, fingerprint=True), stun(1, CHANGE), stun(1, CHANGE, cookie=1), stun(1, PORT), stun(1, PORT, PADDING),
    stun(1, PADDING, CHANGE, fingerprint=True), stun(1, (2, ADDRESS[1]), cookie=2), stun(1, (0x4001, b""), (0x4002, b"x")),
    stun(1, (6, b"user"), (8, bytes(20)), (0x1C, bytes(32)), fingerprint=True), stun(3), stun(0x11),
]
ANSWERS = [
    stun(0x101, (0x20, ADDRESS[1]), ADDRESS, (0x802B, ADDRESS[1]), (0x802C, ADDRESS[1]), (0x8022, b"adit"), fingerprint=True),
    stun(0x101, (0x20, b"\0\2\0\1" + bytes(16)), (0xFAD1, b"\x0d\x97\0\0")),
    stun(0x101, ADDRESS, (4, ADDRESS[1]), (5, ADDRESS[1]), (11, ADDRESS[1]), cookie=7),
    stun(0x111, (9, b"\0\0\4\x14Unknown"), (10, b"\0\3\0\4\0\5")),
    stun(0x111, (9, b"\0\0\3\0"), (0x8023, ADDRESS[1]), (0x8003, b"b.test"), fingerprint=True),
    stun(0x111, (9, b"\0\0\4\1"), (0x14, b"r"), (0x15, b"n"), (0x8002, b"\0\1\0\0\0\2\0\0"), (0x1D, b"\0\2\0\0")),
    stun(0x101, (0x1E, bytes(32)), (0x1C, bytes(16))),
]
save("STUNMessage", *REQUESTS, *ANSWERS)
save("STUNStream", b"".join(REQUESTS), b"".join(ANSWERS), REQUESTS[0] + b"\0", b"\x80")
save("STUNResponder", *(bytes((first,)) + each for first in (0, 3, 4, 8, 24, 32, 64) for each in REQUESTS))
save("NATDiscovery", *(bytes((number,)) + random.Random(number).randbytes(400) for number in (0, 1, 2, 4, 12, 16, 36, 64)))

PEER, PEER6 = (0x12, b"\0\1\x32\x9a\xe1\x12\xa6\x21"), (0x12, b"\0\2\x32\x9a\x05\x12\xa4\x42" + bytes(11) + b"\x09")
UDP, CHANNEL = (0x19, b"\x11\0\0\0"), (0xC, b"\x40\1\0\0")
TURN = [
    stun(3, UDP), stun(3, UDP, (0x18, b"\x80")), stun(3, UDP, (0x8000, b"\2\0\0\0")), stun(3, UDP, (0x22, bytes(8))), stun(4),
    stun(4, (0xD, bytes(4))), stun(8, PEER), stun(8, PEER, PEER6), stun(9, PEER, CHANNEL),
    stun(0x16, PEER, (0x13, b"data"), (0x1A, b"")), stun(0x17, PEER, (0x13, b"datum")),
    stun(0x17, PEER, (0x8004, b"\0\0\3\4\0\0\5\0")),
    stun(0x103, (0x16, PEER[1]), (0x20, PEER[1]), (0xD, b"\0\0\2\x58"), (0x22, bytes(8)), (0x8001, b"\2\0\4\x28no")),
    stun(1, (0x24, b"n\0\1\xff"), (0x25, b""), (0x8029, bytes(8)), (0x802A, bytes(8))), stun(3, (0x17, b"\2\0\0\0")),
]
CHANNELS = [b"\x40\1\0\4data", b"\x4f\xff\0\0", b"\x40\0\0\5datum\0\0\0", b"\x50\0\0\0"]


def piece(what, body=b""):
    return bytes((what, len(body))) + body


def attributes(message):
    return message[20:]


TALK = [
    piece(2), piece(5, attributes(TURN[7])), piece(6, attributes(TURN[8])), piece(0, TURN[9]), piece(0, CHANNELS[0]),
    piece(7, b"x"),
]
save("STUNMessage", *TURN)
save("TURNStream", *TURN, *CHANNELS, b"".join(TURN), b"".join(CHANNELS[:3]) + TURN[0])
save(
    "TURNRelay", b"".join(TALK), b"".join(TALK) + piece(9, b"\x64") + b"".join(TALK[3:]) + piece(10) + piece(12),
    *(piece(3, attributes(each)) + piece(8, b"y") + piece(4) + piece(11) for each in TURN),
    b"".join(piece(2 | client << 4, attributes(TURN[client])) for client in range(3)) + piece(15, b"\1")
    + piece(0x2F, b"\0") + piece(13),
    *(piece(number << 4, each) for number, each in enumerate(TURN)),
)
ALLOCATED = b"\0" + piece(1)
save(
    "TURNClient",
    ALLOCATED + piece(5, b"\1") + piece(2) + piece(14, b"\1") + piece(6, b"\1") + piece(2) + piece(11, b"data")
    + piece(7, b"\1") + piece(12, b"\x40") + piece(15) * 12 + piece(9) + piece(2),
    b"\1" + ALLOCATED[1:] + piece(7, b"\2") + piece(0, CHANNELS[2]) + piece(13),
    *(
        b"\0" + piece(3, bytes((number,)) + attributes(ANSWERS[5])) + piece(15)
        for number in (0, 0x65, 0x67, 0x89, 0x8A, 0x8D, 0xBA, 0xD0)
    ),
    *(ALLOCATED + piece(5, b"\3") + piece(3, bytes((number,))) + piece(15) for number in (0x67, 0x89, 0x8F)),
    *(ALLOCATED + piece(0, each) for each in TURN + ANSWERS + CHANNELS),
)

# Remote candidates (1), checks (2) and their endpoint, answers (3), time (6), a restart (13): see ICEFuzzWorld.
MEET = bytes((0x41, 0x01, 6, 1, 3, 0, 0, 2, 0, 0x01, 6, 5, 3, 0, 0))
save(
    "ICEAgent", *(bytes((choice,)) + MEET + MEET[4:] * 3 for choice in (0, 1, 2, 3, 5, 8, 12, 13, 16, 32, 33)),
    *(bytes((choice,)) + MEET + bytes((2, 4 | 16, 9, 0x01, 6, 255, 13, 2, 0, 0x11, 6, 9)) for choice in (0, 1, 9)),
    bytes((16,)) + bytes((0x80, 0x40, 0x81, 0x41, 6, 1, 8, 9, 0x40, 0x41, 6, 1, 3, 0, 0, 9, 9)),
    bytes((0,)) + bytes((11, 1, 3, 0, 0, 12, 6, 2, 3, 1, 0, 10, 14, 30, 6, 255, 6, 255)),
    *(bytes((number,)) + random.Random(number).randbytes(600) for number in range(0, 128, 8)),
    *(bytes((0, 7, len(each), 1)) + each for each in REQUESTS + ANSWERS),
)
CANDIDATES = [
    b"candidate:1 1 udp 2130706431 192.168.1.2 5000 typ host", b"a=candidate:a+/ 1 UDP 1 2001:db8::1 65535 typ host x y",
    b"candidate:2 1 udp 9 203.0.113.1 4000 typ srflx raddr 192.168.1.2 rport 5000 x-mapped 1",
    b"candidate:3 1 tcp 7 192.168.1.2 9 typ host tcptype active", b"candidate:4 2 tcp 7 ::1 9 typ relay tcptype so",
    b"candidate:1 1 udp 0 a.local 5000 typ host", b"candidate:",
]
save("ICECandidate", *CANDIDATES)
FRAMED = b"".join(struct.pack(">H", len(each)) + each for each in CANDIDATES)
save("ICEStream", *(bytes((size,)) + FRAMED for size in (0, 1, 2, 30, 255)), b"\3\0\0\0\0\xff\xff\1", b"\0")


# Signals between devices that look for a path: a header, then fields of a tag, a length and a value.
def field(tag, value):
    return struct.pack(">BH", tag, len(value)) + value


def seen_at(address, port):
    return bytes((len(address),)) + address + struct.pack(">H", port)


def signal(session, revision, *fields, kind=0, known=0):
    return struct.pack(">BBQQII", 1, kind, session, known, revision, 0) + b"".join(fields)


WHO = field(1, b"\4abcd" + b"0123456789abcdefghijkl")
HOME, AWAY = seen_at(bytes((192, 168, 2, 2)), 4000), seen_at(bytes((192, 0, 2, 2)), 4000)
PLACES = [
    field(2, bytes((0, 0, 0)) + struct.pack(">I", 2130706431) + HOME + b"h1"),
    field(2, bytes((1, 0, 2)) + struct.pack(">I", 1694498815) + AWAY + HOME + b"s1"),
    field(2, bytes((3, 0, 0)) + struct.pack(">I", 16777215) + seen_at(bytes((203, 0, 113, 10)), 50000) + b"r2"),
]
OFFERS = [
    field(6, bytes((1, 1, 1)) + AWAY), field(7, bytes((1, 6, 1)) + AWAY + HOME), field(8, bytes((1, 1, 2)) + AWAY + AWAY),
]
SIGNALS = [
    signal(7, 1, WHO), signal(7, 2, WHO, *PLACES, field(3, b"\1"), field(4, b"\0")), signal(7, 3, WHO, *PLACES, *OFFERS),
    signal(7, 4, WHO, *PLACES, field(8, bytes((1, 2, 1)) + AWAY)), signal(9, 1, WHO, PLACES[1], field(99, b"later")),
    signal(7, 9, kind=1), signal(7, 9, kind=2),
]
save("PathSignal", *SIGNALS)
TOLD = b"".join(b"\0" + bytes(((len(each) + 3) // 4,)) + each + bytes(-len(each) % 4) for each in SIGNALS)
save(
    "PathFinder", *(bytes((choice,)) + TOLD + bytes((5, 200, 3, 0, 5, 255, 13, 9)) * 6 for choice in range(0, 32, 2)),
    *(bytes((choice,)) + random.Random(choice).randbytes(400) for choice in range(8)),
)

# A machine's choices, then what happens to its sockets: 0 connected, 6 targets, 7 go, 9 a search, 11 the deadline.
save(
    "TCPPunch", *(bytes((choice, 0, 0, 0x10, 6, 7, 0x20, 0x33, 11, 0x24, 11, 2, 0x55, 11)) for choice in (0, 1, 3, 5, 8)),
    *(bytes((0, 0, 9 | kind << 4, 7)) + bytes((11, 0x33, 11, 0x44, 0x50)) * 20 for kind in range(16)),
    *(bytes((number,)) + random.Random(number).randbytes(500) for number in range(10)),
)
save(
    "PortSearch", *(bytes((kind, 60, 64, 9)) + bytes((0, 7) * 200) + bytes((3, 0xFC)) for kind in range(64)),
    *(bytes((kind, 30, 30, kind)) + random.Random(kind).randbytes(300) for kind in range(16)),
)


def ports(*numbers):
    return b"".join(struct.pack(">H", each) for each in numbers)


SERIES = [
    ports(5000, 5000, 5000, 5000), ports(5000, 5001, 5002, 5003), ports(5006, 5004, 5002, 5000), ports(65534, 65535, 1024, 1025),
    ports(5000, 41000, 12345, 60001), ports(20100, 21000, 20345, 22001),
]
save("PortSamples", *(bytes((4 | flags,)) + one + other for flags in (0, 0x60, 0x80) for one in SERIES for other in SERIES))
