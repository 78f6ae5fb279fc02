// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTunnel
import NIOConcurrencyHelpers
import NIOCore

/// All sessions of one server by run id, shared by its event loops.
final class SessionDirectory: Sendable {
    enum Claim {
        case granted
        /// This session has to end first.
        case occupied(ServerSession)
        /// The run id belongs to somebody else.
        case foreign
        /// The same user and client id are online under another run id (frp).
        case duplicateClient
        case full
    }

    private struct State {
        var sessions: [String: ServerSession] = [:]
        var clients: [ClientKey: String] = [:]
    }

    private struct ClientKey: Hashable {
        var user: String
        var clientID: String

        init?(_ identity: DeviceIdentity) {
            guard case .frp(let user, let clientID) = identity, !clientID.isEmpty else { return nil }
            self.user = user
            self.clientID = clientID
        }
    }

    private let capacity: Int
    private let state = NIOLockedValueBox(State())

    init(capacity: Int) {
        self.capacity = capacity
    }

    var count: Int { state.withLockedValue { $0.sessions.count } }

    var all: [ServerSession] { state.withLockedValue { Array($0.sessions.values) } }

    func find(_ runID: String) -> ServerSession? {
        state.withLockedValue { $0.sessions[runID] }
    }

    func claim(_ session: ServerSession) -> Claim {
        state.withLockedValue { state in
            if let holder = state.sessions[session.runID] {
                return holder.identity.mayBeReplaced(by: session.identity) ? .occupied(holder) : .foreign
            }
            guard state.sessions.count < capacity else { return .full }
            if let key = ClientKey(session.identity) {
                guard state.clients[key] == nil else { return .duplicateClient }
                state.clients[key] = session.runID
            }
            state.sessions[session.runID] = session
            return .granted
        }
    }

    func release(_ session: ServerSession) {
        state.withLockedValue { state in
            guard state.sessions[session.runID] === session else { return }
            state.sessions[session.runID] = nil
            if let key = ClientKey(session.identity), state.clients[key] == session.runID { state.clients[key] = nil }
        }
    }
}
