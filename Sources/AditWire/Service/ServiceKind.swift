// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a stream to a service of another device carries.
package enum ServiceKind: UInt8, Sendable, Hashable, CaseIterable {
    /// The bytes of one TCP connection.
    case tcp = 1
    /// The datagrams of one UDP socket.
    case udp = 2
}
