// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// One visitor of frpc: a local port that leads to another client's private proxy.
package struct FRPVisitorConfiguration: Sendable, Equatable {
    /// The kind of the private proxy.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case stcp
        case sudp
        case xtcp
    }

    /// The visitor's name.
    package var name: String
    /// The kind of the private proxy.
    package var type: Kind
    /// Whether it is started.
    package var enabled = true
    /// The private proxy's name.
    package var serverName = ""
    /// The private proxy's user; empty for this client's own.
    package var serverUser = ""
    /// The secret of the private proxy.
    package var secretKey = ""
    /// The address of the local port.
    package var bindAddr = "127.0.0.1"
    /// The local port; negative for none.
    package var bindPort = 0
    /// Whether the connection is encrypted with the secret.
    package var useEncryption = false
    /// Whether the connection is compressed.
    package var useCompression = false
    /// What carries an xtcp connection: quic or kcp.
    package var `protocol` = "quic"
    /// Whether an xtcp path is opened before it is needed.
    package var keepTunnelOpen = false
    /// How often an xtcp path is tried in an hour.
    package var maxRetriesAnHour = 8
    /// Seconds between two tries of an xtcp path.
    package var minRetryInterval = 90
    /// The visitor to use when there is no xtcp path; empty for none.
    package var fallbackTo = ""
    /// Milliseconds until the fallback is used.
    package var fallbackTimeoutMs = 1000
    /// The plugin's type in place of a local port; empty for none.
    package var plugin = ""
    /// Where the visitor stands in the file.
    package var position: SourcePosition

    /// Makes a visitor with frp's defaults.
    package init(name: String, type: Kind, position: SourcePosition = .start) {
        self.name = name
        self.type = type
        self.position = position
    }
}
