// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import Testing

@Suite struct PBKDF2Tests {
    struct Example: Sendable {
        let password: String
        let salt: String
        let iterations: Int
        let key: String
    }

    private static let examples = [
        Example(
            password: "password",
            salt: "salt",
            iterations: 1,
            key: "0c60c80f961f0e71f3a9b524af6012062fe037a6"
        ),
        Example(
            password: "password",
            salt: "salt",
            iterations: 2,
            key: "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"
        ),
        Example(
            password: "password",
            salt: "salt",
            iterations: 4096,
            key: "4b007901b765489abead49d926f721d065a429c1"
        ),
        Example(
            password: "passwordPASSWORDpassword",
            salt: "saltSALTsaltSALTsaltSALTsaltSALTsalt",
            iterations: 4096,
            key: "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"
        ),
        Example(
            password: "pass\0word",
            salt: "sa\0lt",
            iterations: 4096,
            key: "56fa6aa75548099dcc37d7f03425e0c3"
        ),
    ]

    @Test(arguments: examples) func `derives the keys of RFC 6070`(example: Example) {
        let key = bytes(example.key)
        let derived = PBKDF2SHA1.derive(
            password: Array(example.password.utf8),
            salt: Array(example.salt.utf8),
            iterations: example.iterations,
            byteCount: key.count
        )
        #expect(derived == key)
    }
}
