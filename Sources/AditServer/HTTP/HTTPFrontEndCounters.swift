// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A snapshot of what a front end has done and holds.
package struct HTTPFrontEndCounters: Sendable, Equatable {
    /// Visitor connections that are open now.
    package var connections: Int
    /// Visitor connections taken so far.
    package var acceptedConnections: Int
    /// Visitor connections closed at once because there were too many.
    package var refusedConnections: Int
    /// Requests read so far.
    package var requests: Int
    /// Requests answered without asking an app: malformed, unknown name, no permission, device offline.
    package var refusedRequests: Int
    /// Requests whose app did not give a usable answer.
    package var failedRequests: Int
    /// Connections that left HTTP and are open now.
    package var upgradedConnections: Int
    /// Connections to apps opened so far.
    package var openedAppConnections: Int
}
