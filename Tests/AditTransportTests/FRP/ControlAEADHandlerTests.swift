// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@Suite struct ControlAEADHandlerTests {
    private static let key = [UInt8](repeating: 3, count: 32)

    private static func handler(_ cipher: FRPControlCipher) -> ControlAEADHandler {
        ControlAEADHandler(
            sealer: FRPControlSealer(
                cipher: cipher,
                key: key,
                startNonce: [UInt8](repeating: 5, count: cipher.nonceByteCount)
            ),
            opener: FRPControlOpener(cipher: cipher, key: key)
        )
    }

    @Test(arguments: FRPControlCipher.allCases) func `carries text through both ends`(cipher: FRPControlCipher) throws {
        let sender = try Pipeline(Self.handler(cipher))
        let texts = ["first", "second", String(repeating: "third ", count: 20_000)].map { Array($0.utf8) }
        for text in texts { try sender.write(text) }
        let receiver = try Pipeline(Self.handler(cipher))
        receiver.receive(sender.outbound.bytes)
        #expect(receiver.inbound.bytes == texts.flatMap { $0 })
        let slow = try Pipeline(Self.handler(cipher))
        slow.drip(Array(sender.outbound.writes[0] + sender.outbound.writes[1]))
        #expect(slow.inbound.items == [.bytes(texts[0]), .bytes(texts[1])])
    }

    @Test(arguments: FRPControlCipher.allCases) func `lets nothing through behind a changed record`(
        cipher: FRPControlCipher
    ) throws {
        let sender = try Pipeline(Self.handler(cipher))
        try sender.write([1])
        try sender.write([2])
        let intact = sender.outbound.bytes
        for index in cipher.nonceByteCount..<intact.count {
            var changed = intact
            changed[index] ^= 1
            let receiver = try Pipeline(Self.handler(cipher))
            receiver.receive(changed)
            receiver.receive(intact)
            receiver.endInput()
            #expect(receiver.inbound.bytes == [] || receiver.inbound.bytes == [1])
            #expect(receiver.inbound.items.last == .inputClosed)
        }
    }

    @Test func `refuses a record over the limit at its length field`() throws {
        let receiver = try Pipeline(Self.handler(.aes256GCM))
        receiver.receive([UInt8](repeating: 5, count: 12) + [0, 1, 0, 17])
        receiver.receive([0])
        #expect(receiver.inbound.items == [.error("recordLength(65553)")])
    }

    @Test func `says when a record broke off`() throws {
        let sender = try Pipeline(Self.handler(.aes256GCM))
        try sender.write([1, 2, 3])
        let receiver = try Pipeline(Self.handler(.aes256GCM))
        receiver.receive(sender.outbound.bytes.dropLast())
        receiver.endInput()
        #expect(receiver.inbound.items == [.error("truncated: 23 bytes expected, 22 found"), .inputClosed])
    }

    @Test func `protects frames behind a handshake in clear`() throws {
        let handler = FRPFrameHandler(version: .v2)
        let pipeline = try Pipeline(handler)
        let response = FRPFrame.message(.loginResponse(FRPLoginResponse(runID: "r")))
        let ping = FRPFrame.message(.ping(FRPPing()))
        var clear: [UInt8] = []
        try response.encode(version: .v2, into: &clear)
        var text: [UInt8] = []
        try ping.encode(version: .v2, into: &text)
        let sender = try Pipeline(Self.handler(.xchacha20Poly1305))
        try sender.write(text)
        pipeline.inbound.onFrame = { frame in
            guard frame == response else { return }
            do {
                try handler.protect(with: Self.handler(.xchacha20Poly1305))
            } catch {
                Issue.record(error)
            }
        }
        pipeline.receive(clear + sender.outbound.bytes)
        #expect(pipeline.inbound.items == [.frame(response), .frame(ping)])
    }
}
