// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import Testing

@Test func `hashes the example of FIPS 180-4`() {
    #expect(
        SHA256Digest(of: Array("abc".utf8)).description
            == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
}
