// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The version of the PROXY protocol in which a service is told who its visitor is (HAProxy, proxy-protocol.txt).
package enum ProxyProtocolVersion: String, Sendable, Hashable, CaseIterable {
    /// One line of text (section 2.1).
    case v1
    /// A binary header (section 2.2).
    case v2
}
