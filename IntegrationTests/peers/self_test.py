#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The two peers against each other, in every combination, and the published vectors of their parts."""

import itertools
import os
import unittest

import frpc
import frps
import payload
from traffic import EchoService, PageService, echo_round_trip, fetch


class Parts(unittest.TestCase):
    def test_hchacha20_vector(self):
        # draft-irtf-cfrg-xchacha-03 section 2.2.1
        key = bytes(range(32))
        nonce = bytes.fromhex("000000090000004a0000000031415927")
        self.assertEqual(
            payload.hchacha20(key, nonce).hex(), "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
        )

    def test_xchacha20_poly1305_vector(self):
        # draft-irtf-cfrg-xchacha-03 appendix A.3.1
        text = (
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
            b"sunscreen would be it."
        )
        sealed = payload.XChaCha20Poly1305(bytes(range(0x80, 0xA0))).encrypt(
            bytes(range(0x40, 0x58)), text, bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
        )
        self.assertEqual(sealed[-16:].hex(), "c0875924c1c7987947deafd8780acf49")

    def test_crc32c_vector(self):
        # RFC 3720 appendix B.4: 32 bytes of zeros
        crc = 0x8A9136AA
        self.assertEqual(payload.masked_crc(bytes(32)), (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    def test_snappy_blocks_come_back(self):
        for data in (b"", b"a", b"abcd" * 5000, os.urandom(3000), b"x" * 65536, bytes(range(256)) * 9):
            self.assertEqual(payload.snappy_decompress(payload.snappy_compress(data)), data)


class Together(unittest.TestCase):
    def test_all_combinations(self):
        echo, page = EchoService(), PageService()
        for wire, tls, mux, transforms in itertools.product(("v1", "v2"), (True, False), (True, False), (True, False)):
            with self.subTest(wire=wire, tls=tls, mux=mux, transforms=transforms):
                server = frps.Server(b"secret", mux)
                client = frpc.Client(("127.0.0.1", server.port), b"secret", wire, tls, tls and mux, mux, user="me")
                address = client.add_proxy("echo", "tcp", echo.address, transforms, transforms)
                echo_round_trip(("127.0.0.1", int(address.lstrip(":"))), 1 << 20)
                client.add_proxy("web", "http", page.address, transforms, transforms, custom_domains=["demo.test"])
                self.assertEqual(fetch(server.http_port, "demo.test"), (200, page.body))
                self.assertTrue(client.ping())
                if mux:
                    self.assertTrue(client.session.ping())
                    self.assertTrue(server.sessions[0].ping())
                self.assertEqual(server.faults(), [])
                self.assertIsNone(client.error)
                client.close()
                server.close()

    def test_xchacha(self):
        server = frps.Server(b"secret")
        client = frpc.Client(("127.0.0.1", server.port), b"secret", "v2", algorithms=["xchacha20-poly1305"])
        self.assertTrue(client.ping())
        client.close()
        server.close()

    def test_wrong_token_is_refused(self):
        server = frps.Server(b"secret")
        for wire in ("v1", "v2"):
            with self.assertRaises(frpc.Refused):
                frpc.Client(("127.0.0.1", server.port), b"guess", wire)
        server.close()


if __name__ == "__main__":
    unittest.main()
