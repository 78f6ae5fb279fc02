// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import Testing

/// Vectors of this suite were made with Python's `cryptography` package, an implementation of its own.
@Suite struct LoginProofTests {
    private let fingerprint = KeyFingerprint(of: Array("server public key".utf8))
    private var proof: LoginProof {
        LoginProof(transcript: FRPControlStreamTests.transcript, serverFingerprint: fingerprint)
    }
    private let signature = bytes(
        "5d6bf485aee4cbc112ea77a632b3c50e198ecceb7faa15e6663d8243c732fe73ecc7e7bd2341f4150539fba6b506bc78"
            + "263f0caeeeac58764f413dfbebe2cd06"
    )

    @Test func `signs label, transcript and fingerprint`() throws {
        let key = try DeviceKey(seed: Array(0..<32))
        #expect(try proof.signature(by: key) == signature)
        #expect(proof.accepts(signature: signature, by: key.publicKey))
    }

    @Test func `is bound to the connection, the server and the device`() throws {
        let key = try DeviceKey(seed: Array(0..<32))
        let otherServer = LoginProof(
            transcript: FRPControlStreamTests.transcript,
            serverFingerprint: KeyFingerprint(of: [1])
        )
        let otherConnection = LoginProof(
            transcript: FRPControlTranscript(clientHello: [], serverHello: []),
            serverFingerprint: fingerprint
        )
        let otherDevice = try DeviceKey(seed: Array(1..<33))
        #expect(!otherServer.accepts(signature: signature, by: key.publicKey))
        #expect(!otherConnection.accepts(signature: signature, by: key.publicKey))
        #expect(!proof.accepts(signature: signature, by: otherDevice.publicKey))
    }

    @Test func `proves a token without sending it`() {
        let expected = bytes("732ba5931e39b52c64909b2df71aa63c02899eee40fda9ee47ad410570a925e8")
        #expect(proof.tokenProof(token: "secret token") == expected)
        #expect(proof.accepts(tokenProof: expected, token: "secret token"))
        #expect(!proof.accepts(tokenProof: expected, token: "another token"))
        #expect(!proof.accepts(tokenProof: [], token: "secret token"))
    }

    @Test func `never accepts an empty token`() {
        #expect(!proof.accepts(tokenProof: proof.tokenProof(token: ""), token: ""))
    }
}
