// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Whether a request may go through a tunnel.
enum HTTPAccess: Equatable {
    case allowed
    /// The visitor's address is not on the tunnel's list.
    case addressRefused
    /// The tunnel wants a user and a password, and these are missing or wrong.
    case signInNeeded

    /// Decides from the request that also decided the route, and from the tunnel that the route led to.
    static func decide(_ request: HTTPVisitorRequest, visitor: IPAddress?, route: HTTPRoute) -> HTTPAccess {
        if !route.allow.isEmpty {
            guard let visitor, route.allow.contains(where: { $0.contains(visitor) }) else { return .addressRefused }
        }
        guard !route.auth.isEmpty else { return .allowed }
        guard let given = request.credentials else { return .signInNeeded }
        // Every entry is compared to its end, so that the time taken does not tell which one was close.
        var isKnown = false
        let bytes = Array(given.text.utf8)
        for entry in route.auth where ConstantTime.equal(Array(entry.utf8), bytes) { isKnown = true }
        return isKnown ? .allowed : .signInNeeded
    }
}
