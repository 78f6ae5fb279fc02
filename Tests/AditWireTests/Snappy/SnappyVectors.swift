// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Texts and what the Rust crate `snap`, an implementation of its own, makes of them.
struct SnappyVector: Sendable, CustomTestStringConvertible {
    let name: String
    let text: [UInt8]
    let block: String
    let frames: String

    var testDescription: String { name }

    static let all = [
        SnappyVector(name: "empty", text: [], block: "00", frames: ""),
        SnappyVector(
            name: "one byte",
            text: Array("a".utf8),
            block: "010061",
            frames: "ff060000734e6150705901050000786ee42861"
        ),
        SnappyVector(
            name: "repeated words",
            text: Array("hello, hello, hello, hello, hello\n".utf8),
            block: "221868656c6c6f2c20660700000a",
            frames: "ff060000734e615070590012000045f5e271221868656c6c6f2c20660700000a"
        ),
        SnappyVector(
            name: "one byte repeated",
            text: [UInt8](repeating: 0x61, count: 300),
            block: "ac020061fe0100fe0100fe0100fe0100aa0100",
            frames: "ff060000734e61507059001700005c724175ac020061fe0100fe0100fe0100fe0100aa0100"
        ),
        SnappyVector(
            name: "requests",
            text: Array(
                String(
                    repeating: "GET / HTTP/1.1\r\nHost: demo.example\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n"
                        + "Accept-Language: en\r\n\r\n",
                    count: 3
                ).utf8
            ),
            block:
                "af02f04c474554202f20485454502f312e310d0a486f73743a2064656d6f2e6578616d706c650d0a4163636570743a2074657874"
                + "2f68746d6c0d0a4163636570742d456e636f64696e673a20677a69700d0d2a402d4c616e67756167653a20656e0d0a0d0afe"
                + "6500fe6500fe65001965",
            frames:
                "ff060000734e615070590074000054487505af02f04c474554202f20485454502f312e310d0a486f73743a2064656d6f2e6578"
                + "616d706c650d0a4163636570743a20746578742f68746d6c0d0a4163636570742d456e636f64696e673a20677a69700d0d2a40"
                + "2d4c616e67756167653a20656e0d0a0d0afe6500fe6500fe65001965"
        ),
        SnappyVector(
            name: "random bytes",
            text: hex("a54dca182530bb1d6d132cded6237b2ed91e3f721fcb1971174494d6493c9d5c3460be31201e69fe"),
            block: "289ca54dca182530bb1d6d132cded6237b2ed91e3f721fcb1971174494d6493c9d5c3460be31201e69fe",
            frames:
                "ff060000734e61507059012c00000061d23ca54dca182530bb1d6d132cded6237b2ed91e3f721fcb1971174494d6493c9d5c3460be31201e69fe"
        ),
    ]
}
