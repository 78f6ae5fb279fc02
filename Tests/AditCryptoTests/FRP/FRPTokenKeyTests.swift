// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import Testing

@Suite struct FRPTokenKeyTests {
    @Test func `derives the stream cipher's key from the token`() {
        #expect(FRPTokenKey(token: "secret token").cipherKey == bytes("aacef3f3bd6c93d59f87fb24ffbdf26e"))
        #expect(FRPTokenKey(token: "").cipherKey == bytes("cdc9dc4c472c37331281df4c232a8407"))
    }

    @Test func `proves the token with MD5 over token and timestamp`() {
        let key = FRPTokenKey(token: "secret token")
        #expect(key.privilegeKey(timestamp: 1_700_000_000) == "4627caaac3d64187ba1c8832007beb3a")
        #expect(key.accepts(privilegeKey: "4627caaac3d64187ba1c8832007beb3a", timestamp: 1_700_000_000))
        #expect(!key.accepts(privilegeKey: "4627caaac3d64187ba1c8832007beb3a", timestamp: 1_700_000_001))
        #expect(!key.accepts(privilegeKey: "4627CAAAC3D64187BA1C8832007BEB3A", timestamp: 1_700_000_000))
        #expect(!key.accepts(privilegeKey: "", timestamp: 0))
    }

    @Test func `accepts a login without a timestamp`() {
        // MD5 of `abc0`: an omitted timestamp is zero.
        #expect(FRPTokenKey(token: "abc").accepts(privilegeKey: "577571be4de9dcce85a041ba0410f29f", timestamp: 0))
    }

    @Test func `does not show the token`() {
        let shown = "\(FRPTokenKey(token: "hush"))" + String(reflecting: FRPTokenKey(token: "hush"))
        #expect(!shown.contains("hush"))
        #expect(!shown.contains("104"))
    }
}
