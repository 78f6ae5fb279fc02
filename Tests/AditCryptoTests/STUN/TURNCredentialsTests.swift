// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import Testing

@Suite struct TURNCredentialsTests {
    @Test func thePasswordIsThatOfCoturnsSharedSecret() {
        // echo -n "1433895918:506847" | openssl dgst -sha1 -hmac my_secret -binary | base64
        let secret = TURNSecret(Array("my_secret".utf8))
        let credentials = secret.credentials(device: "506847", expiry: 1_433_895_918)
        #expect(credentials.username == "1433895918:506847")
        #expect(credentials.password == "yKMbrPKOlSCS2bL40eo2VnUB6Ms=")
        #expect(credentials.password.utf8.count == 28)
    }

    @Test func aUserHasAnExpiryAndADevice() {
        #expect(TURNCredentials.parts(of: "1433895918:desk")?.expiry == 1_433_895_918)
        #expect(TURNCredentials.parts(of: "1433895918:desk")?.device == "desk")
        #expect(TURNCredentials.parts(of: "1:a:b")?.device == "a:b")
        #expect(TURNCredentials.parts(of: "1:")?.device == "")
        for text in ["", ":", ":desk", "desk", "-1:desk", "+1:desk", "1 :desk", "1234567890123456789:desk", "１:desk"] {
            #expect(TURNCredentials.parts(of: text) == nil, "\(text)")
        }
    }

    @Test func secretsAreNotShown() {
        let secret = TURNSecret(Array("hidden".utf8))
        let credentials = TURNCredentials(username: "1:desk", password: "hidden")
        var text = "\(secret) \(credentials) \(TURNNonceKey(Array("hidden".utf8)))"
        dump(secret, to: &text)
        dump(credentials, to: &text)
        #expect(!text.contains("hidden"))
    }
}
