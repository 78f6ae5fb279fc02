// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import NIOCore

extension IPEndpoint {
    /// The address and port of a socket; nil for a Unix socket. An IPv4-mapped address becomes IPv4.
    package init?(_ address: SocketAddress) {
        guard let text = address.ipAddress, let port = address.port, let number = UInt16(exactly: port),
            let parsed = IPAddress(String(text.prefix { $0 != "%" }))
        else { return nil }
        self.init(parsed.unmapped, number)
    }
}
