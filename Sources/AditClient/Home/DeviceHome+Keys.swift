// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto

extension DeviceHome {
    /// This device's key, made at the first call.
    ///
    /// - Throws: `ErrorCode.state` when the state folder cannot be used.
    package func deviceKey() throws(AditError) -> DeviceKey {
        let seed = try deviceSeed()
        do {
            return try DeviceKey(seed: seed)
        } catch {
            throw AditError(
                .state,
                Text("this device's key cannot be used", zh: "无法使用本设备的密钥"),
                why: [Text(verbatim: "\(error)")]
            )
        }
    }
}
